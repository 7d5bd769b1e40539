// Lambda's API: a function's invocation, and whether it may be in a loop (API reference, Invoke, PutFunctionRecursionConfig).
import { AwsError, arnOf, type Invoke, type Json, type Operation, text } from './wire.ts';

interface ApiFunction {
  invoke: Invoke;
  allowsLoops: boolean;
}

export function createLambdaApi() {
  const functions = new Map<string, ApiFunction>();

  function functionNamed(encoded: string): ApiFunction {
    const name = decodeURIComponent(encoded).split(':').at(-1) ?? '';
    const found = functions.get(name);
    if (!found)
      throw new AwsError(
        'ResourceNotFoundException',
        `Function not found: ${arnOf('lambda', `function:${name}`)}`,
        404,
      );
    return found;
  }
  const recursion = ({ allowsLoops }: ApiFunction): Json => ({ RecursiveLoop: allowsLoops ? 'Allow' : 'Terminate' });

  function putRecursion(found: ApiFunction, input: Json): Json {
    const wanted = text(input, 'RecursiveLoop');
    if (wanted !== 'Allow' && wanted !== 'Terminate')
      throw new AwsError('ValidationException', `Value '${wanted}' at 'recursiveLoop' is neither Allow nor Terminate`);
    found.allowsLoops = wanted === 'Allow';
    return recursion(found);
  }

  return {
    /** A function by its whole name. */
    addFunction: (name: string, one: ApiFunction) => void functions.set(name, one),
    /** Whether the function may be in a loop now; false where there is none of that name. */
    allowsLoops: (name: string) => functions.get(name)?.allowsLoops ?? false,
    withArn: (arn: string): Invoke | undefined => functions.get(arn.split(':function:')[1] ?? '')?.invoke,

    /** The function that a path of `Invoke` names; undefined where the path is none. */
    functionOf(pathname: string): Invoke | undefined {
      const [, name] = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(pathname) ?? [];
      return name === undefined ? undefined : functionNamed(name).invoke;
    },
    /** The operation of a request, by its method and path; undefined where it is none that is played. */
    operationOf(method: string, pathname: string): [name: string, run: Operation] | undefined {
      const [, name] = /^\/2024-08-31\/functions\/([^/]+)\/recursion-config$/.exec(pathname) ?? [];
      if (name === undefined) return undefined;
      if (method === 'PUT') return ['PutFunctionRecursionConfig', (input) => putRecursion(functionNamed(name), input)];
      return method === 'GET' ? ['GetFunctionRecursionConfig', () => recursion(functionNamed(name))] : undefined;
    },
  };
}
export type LambdaApi = ReturnType<typeof createLambdaApi>;
