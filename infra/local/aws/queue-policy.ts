// Policies, as far as they say who may send to a queue or do something to a resource.
import type { Queue } from './sqs.ts';

export interface Statement {
  Effect: string;
  Principal?: unknown;
  Action: string | string[];
  Resource: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

const names = (given: string | string[], wanted: string) => [given].flat().includes(wanted);

/** Whether a policy's statements allow `action` on the resource. */
export const mayDo = (statements: Statement[], action: string, arn: string) =>
  statements.some(
    ({ Effect, Action, Resource }) => Effect === 'Allow' && names(Action, action) && names(Resource, arn),
  );

/** Whether a queue's policy lets `service` send on behalf of `sourceArn`. */
export function maySend(queue: Queue, service: string, sourceArn: string): boolean {
  const forIt = queue.policy?.filter(({ Principal, Condition = {} }) => {
    const sources = [Condition.ArnEquals, Condition.ArnLike].flatMap((one) => one?.['aws:SourceArn'] ?? []);
    const isNamed = sources.length === 0 || sources.includes(sourceArn);
    return isNamed && [Object(Principal).Service].flat().includes(service);
  });
  return !forIt || mayDo(forIt, 'sqs:SendMessage', queue.arn);
}
