// Lambda's API: a function's invocation, whether it may be in a loop, and which queues invoke it (API reference, Invoke,
// PutFunctionRecursionConfig, UpdateEventSourceMapping).
import { createEventSourceMappings } from './event-source-mappings.ts';
import { AwsError, arnOf, type Invoke, type Json, type Operation, text } from './wire.ts';

interface ApiFunction {
  invoke: Invoke;
  allowsLoops: boolean;
}

export function createLambdaApi() {
  const functions = new Map<string, ApiFunction>();
  const mappings = createEventSourceMappings();

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
    /** A queue that invokes a function; the returned function says whether it does now. */
    addMapping: mappings.add,
    /** Whether the function may be in a loop now; false where there is none of that name. */
    allowsLoops: (name: string) => functions.get(name)?.allowsLoops ?? false,
    withArn: (arn: string): Invoke | undefined => functions.get(arn.split(':function:')[1] ?? '')?.invoke,

    /** The function that a path of `Invoke` names; undefined where the path is none. */
    functionOf(pathname: string): Invoke | undefined {
      const [, name] = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(pathname) ?? [];
      return name === undefined ? undefined : functionNamed(name).invoke;
    },
    /** The operation of a request, by its method and path; undefined where it is none that is played. */
    operationOf(method: string, pathname: string, search: string): [name: string, run: Operation] | undefined {
      const [, name] = /^\/2024-08-31\/functions\/([^/]+)\/recursion-config$/.exec(pathname) ?? [];
      if (name === undefined) return mappings.operationOf(method, pathname, search);
      if (method === 'PUT') return ['PutFunctionRecursionConfig', (input) => putRecursion(functionNamed(name), input)];
      return method === 'GET' ? ['GetFunctionRecursionConfig', () => recursion(functionNamed(name))] : undefined;
    },
  };
}
export type LambdaApi = ReturnType<typeof createLambdaApi>;
