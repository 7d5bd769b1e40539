// Event source mappings as an operator sees and stops them (Lambda API reference, ListEventSourceMappings, UpdateEventSourceMapping).
import { createHash } from 'node:crypto';
import { AwsError, arnOf, type Json, type Operation } from './wire.ts';

interface Mapping {
  uuid: string;
  functionName: string;
  queueArn: string;
  batchSize: number;
  isEnabled: boolean;
  /** Has the pollers look again. */
  onEnabled: () => void;
}

const PATH = /^\/2015-03-31\/event-source-mappings(?:\/([^/]+))?\/?$/;

/** A UUID that is the same at each start. */
const uuidOf = (text: string) =>
  createHash('sha256')
    .update(text)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');

const view = ({ uuid, functionName, queueArn, batchSize, isEnabled }: Mapping): Json => ({
  UUID: uuid,
  FunctionArn: arnOf('lambda', `function:${functionName}`),
  EventSourceArn: queueArn,
  BatchSize: batchSize,
  State: isEnabled ? 'Enabled' : 'Disabled',
});

export function createEventSourceMappings() {
  const mappings: Mapping[] = [];

  function withId(uuid: string): Mapping {
    const found = mappings.find((one) => one.uuid === uuid);
    if (!found) throw new AwsError('ResourceNotFoundException', 'The resource you requested does not exist.', 404);
    return found;
  }

  function update(mapping: Mapping, { Enabled, ...others }: Json): Json {
    const other = Object.keys(others).find((name) => name !== 'UUID');
    if (other) throw new AwsError('InvalidParameterValueException', `Setting ${other} is not played here.`);
    if (typeof Enabled === 'boolean') mapping.isEnabled = Enabled;
    if (mapping.isEnabled) mapping.onEnabled();
    return view(mapping);
  }

  function list(functionName: string | null): Json {
    const name = functionName?.split(':').at(-1);
    return { EventSourceMappings: mappings.filter((one) => !name || one.functionName === name).map(view) };
  }

  return {
    /** The returned function says whether the mapping is enabled now. */
    add(mapping: Omit<Mapping, 'uuid' | 'isEnabled'>): () => boolean {
      const one = { ...mapping, uuid: uuidOf(mapping.functionName + mapping.queueArn), isEnabled: true };
      mappings.push(one);
      return () => one.isEnabled;
    },
    /** The operation of a request, by its method and path; undefined where it is none that is played. */
    operationOf(method: string, pathname: string, search: string): [name: string, run: Operation] | undefined {
      const [path, uuid] = PATH.exec(pathname) ?? [];
      if (path === undefined) return undefined;
      const functionName = new URLSearchParams(search).get('FunctionName');
      if (uuid === undefined)
        return method === 'GET' ? ['ListEventSourceMappings', () => list(functionName)] : undefined;
      if (method === 'GET') return ['GetEventSourceMapping', () => view(withId(uuid))];
      return method === 'PUT' ? ['UpdateEventSourceMapping', (input) => update(withId(uuid), input)] : undefined;
    },
  };
}
