// Secrets Manager: versions with their staging labels, and rotation by a function in four steps.
import { randomUUID } from 'node:crypto';
import { AwsError, arnOf, type Invoke, type Json, text } from './wire.ts';

interface Secret {
  ARN: string;
  Name: string;
  versions: Map<string, { value?: string | undefined; binary?: Buffer; stages: Set<string>; created: number }>;
  rotate?: Invoke | undefined;
  lastRotated?: number;
  lastRotationError?: string;
}

export function createSecretsManager() {
  const secrets = new Map<string, Secret>();
  const rotations = new Set<Promise<unknown>>();

  function secretOf(input: Json): Secret {
    const id = text(input, 'SecretId');
    const secret = secrets.get(id) ?? [...secrets.values()].find(({ ARN }) => ARN === id);
    if (!secret) throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    return secret;
  }

  function stage(secret: Secret, name: string, versionId: string | undefined): void {
    for (const version of secret.versions.values()) version.stages.delete(name);
    if (versionId) secret.versions.get(versionId)?.stages.add(name);
  }

  const versionWith = (secret: Secret, name: string) => [...secret.versions].find(([, { stages }]) => stages.has(name));

  function makeCurrent(secret: Secret, versionId: string): void {
    const before = versionWith(secret, 'AWSCURRENT')?.[0];
    stage(secret, 'AWSCURRENT', versionId);
    if (before && before !== versionId) stage(secret, 'AWSPREVIOUS', before);
  }

  function putSecretValue(input: Json): Json {
    const secret = secretOf(input);
    const versionId = typeof input.ClientRequestToken === 'string' ? input.ClientRequestToken : randomUUID();
    const value = text(input, 'SecretString');
    const found = secret.versions.get(versionId);
    if (found?.value !== undefined && found.value !== value) {
      throw new AwsError(
        'ResourceExistsException',
        'A version with another value exists already for this request token.',
      );
    }
    secret.versions.set(versionId, { value, stages: found?.stages ?? new Set(), created: Date.now() / 1000 });
    for (const name of (input.VersionStages as string[] | undefined) ?? ['AWSCURRENT']) {
      if (name === 'AWSCURRENT') makeCurrent(secret, versionId);
      else stage(secret, name, versionId);
    }
    return {
      ARN: secret.ARN,
      Name: secret.Name,
      VersionId: versionId,
      VersionStages: [...(secret.versions.get(versionId)?.stages ?? [])],
    };
  }

  function startRotation(secret: Secret, token: string): void {
    const rotation = runRotation(secret, token);
    rotations.add(rotation);
    rotation.finally(() => rotations.delete(rotation));
  }

  async function runRotation(secret: Secret, token: string): Promise<void> {
    try {
      for (const Step of ['createSecret', 'setSecret', 'testSecret', 'finishSecret']) {
        await secret.rotate?.({ SecretId: secret.ARN, ClientRequestToken: token, Step });
      }
      secret.lastRotated = Date.now() / 1000;
      delete secret.lastRotationError;
    } catch (error) {
      secret.lastRotationError = error instanceof Error ? error.message : String(error);
    }
  }

  const operations: Record<string, (input: Json) => Json> = {
    CreateSecret(input) {
      const Name = text(input, 'Name');
      if (secrets.has(Name))
        throw new AwsError('ResourceExistsException', 'The operation failed because the secret already exists.');
      const ARN = arnOf('secretsmanager', `secret:${Name}-${randomUUID().slice(0, 6)}`);
      secrets.set(Name, { ARN, Name, versions: new Map() });
      return input.SecretString === undefined ? { ARN, Name } : putSecretValue({ ...input, SecretId: Name });
    },
    DescribeSecret(input) {
      const secret = secretOf(input);
      const stages = [...secret.versions].map(([id, version]) => [id, [...version.stages]]);
      return {
        ARN: secret.ARN,
        Name: secret.Name,
        RotationEnabled: secret.rotate !== undefined,
        ...(secret.lastRotated && { LastRotatedDate: secret.lastRotated }),
        VersionIdsToStages: Object.fromEntries(stages),
      };
    },
    ListSecretVersionIds(input) {
      const labelled = [...secretOf(input).versions].filter(([, { stages }]) => stages.size > 0);
      const Versions = labelled.map(([VersionId, { stages }]) => ({ VersionId, VersionStages: [...stages] }));
      return { Versions };
    },
    GetSecretValue(input) {
      const secret = secretOf(input);
      const id =
        (input.VersionId as string | undefined) ??
        versionWith(secret, (input.VersionStage as string) ?? 'AWSCURRENT')?.[0];
      const version = secret.versions.get(id ?? '');
      const staged =
        input.VersionId === undefined ||
        input.VersionStage === undefined ||
        version?.stages.has(input.VersionStage as string);
      if (!version || (version.value ?? version.binary) === undefined || !staged) {
        throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret value.");
      }
      return {
        ARN: secret.ARN,
        Name: secret.Name,
        VersionId: id,
        ...(version.binary ? { SecretBinary: version.binary.toString('base64') } : { SecretString: version.value }),
        VersionStages: [...version.stages],
        CreatedDate: version.created,
      };
    },
    PutSecretValue: putSecretValue,
    UpdateSecretVersionStage(input) {
      const secret = secretOf(input);
      const [name, to, from] = [
        text(input, 'VersionStage'),
        input.MoveToVersionId as string | undefined,
        input.RemoveFromVersionId as string | undefined,
      ];
      const holder = versionWith(secret, name)?.[0];
      if (to && holder && holder !== to && holder !== from) {
        throw new AwsError(
          'InvalidParameterException',
          `The parameter RemoveFromVersionId can't be empty. Staging label ${name} is currently attached to version ${holder}`,
        );
      }
      if (name === 'AWSCURRENT' && to) makeCurrent(secret, to);
      else stage(secret, name, to);
      return { ARN: secret.ARN, Name: secret.Name };
    },
    RotateSecret(input) {
      const secret = secretOf(input);
      if (!secret.rotate)
        throw new AwsError('InvalidRequestException', 'You must specify a Lambda function ARN to rotate the secret.');
      const pending = versionWith(secret, 'AWSPENDING');
      if (pending && !pending[1].stages.has('AWSCURRENT')) {
        startRotation(secret, pending[0]);
        throw new AwsError(
          'InvalidRequestException',
          "A previous rotation isn't complete. That rotation will be reattempted.",
        );
      }
      const token = (input.ClientRequestToken as string | undefined) ?? randomUUID();
      secret.versions.set(token, { stages: new Set(), created: Date.now() / 1000 });
      stage(secret, 'AWSPENDING', token);
      startRotation(secret, token);
      return { ARN: secret.ARN, Name: secret.Name, VersionId: token };
    },
  };

  return {
    operations,
    secret: (id: string) => secretOf({ SecretId: id }),
    create(name: string, value?: string) {
      return operations.CreateSecret?.({ Name: name, ...(value !== undefined && { SecretString: value }) });
    },
    setValue: (id: string, value: string) => putSecretValue({ SecretId: id, SecretString: value }),
    /** Sets the function that rotates the secret. */
    setRotation(secretId: string, invoke: Invoke) {
      secretOf({ SecretId: secretId }).rotate = invoke;
    },
    /** Rotates as `RotateSecret` does and waits for the end; throws what the function threw. */
    async rotate(id: string) {
      operations.RotateSecret?.({ SecretId: id });
      await Promise.all(rotations);
      const { lastRotationError } = secretOf({ SecretId: id });
      if (lastRotationError) throw new Error(lastRotationError);
    },
  };
}
