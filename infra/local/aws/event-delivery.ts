// How EventBridge hands an event to the targets of a rule (user guide, "Event bus targets", "Retry policy").
import { createDeliverer, type RetryPolicy } from './delivery-retries.ts';
import type { Invocations } from './invocations.ts';
import { maySend } from './queue-policy.ts';
import type { Sqs } from './sqs.ts';
import { type Agenda, AwsError, arnOf, type Faults, type Invoke, type Json } from './wire.ts';

export interface Target {
  id?: string;
  arn: string;
  messageGroupId?: string | undefined;
  retryPolicy?: RetryPolicy | undefined;
  deadLetterArn?: string | undefined;
}

/** What targets belong to. */
export interface Sender {
  name: string;
  bus: string;
  targets: Target[];
}

/** A function that a rule may invoke: its permissions name the rules. */
export interface InvokedFunction {
  invoke: Invoke;
  sourceArns: string[];
}

export const ruleArn = ({ bus, name }: Sender) =>
  arnOf('events', bus === 'default' ? `rule/${name}` : `rule/${bus}/${name}`);

export function createDelivery(sqs: Sqs, invocations: Invocations, agenda: Agenda, faults: Faults, retrySpeed: number) {
  const functions = new Map<string, InvokedFunction>();
  const undelivered: { event: Json; rule: string; code: string }[] = [];
  const deliver = createDeliverer('Deliver', agenda, faults, retrySpeed);

  function hand(rule: Sender, { arn, messageGroupId }: Target, event: Json): void {
    const source = ruleArn(rule);
    const invoked = functions.get(arn);
    if (invoked) {
      if (!invoked.sourceArns.includes(source)) throw new AwsError('NO_PERMISSIONS', `${source} may not invoke ${arn}`);
      void invocations.invokeLater(invoked.invoke, event);
      return;
    }
    const queue = sqs.withArn(arn);
    if (!queue) throw new AwsError('NO_RESOURCE', `${arn} does not exist`);
    if (!maySend(queue, 'events.amazonaws.com', source))
      throw new AwsError('NO_PERMISSIONS', `${source} may not send to ${arn}`);
    sqs.send(queue, JSON.stringify(event), { group: messageGroupId });
  }

  /** To the target's dead-letter queue: a standard one, whose policy lets this rule send. Else the event is gone. */
  function bury(rule: Sender, target: Target, event: Json, { type, message }: AwsError, retries: number): void {
    const queue = sqs.withArn(target.deadLetterArn);
    if (!queue || queue.fifo || !maySend(queue, 'events.amazonaws.com', ruleArn(rule))) {
      undelivered.push({ event, rule: rule.name, code: type });
      return;
    }
    const string = (StringValue: string) => ({ DataType: 'String', StringValue });
    const attributes = {
      RULE_ARN: string(ruleArn(rule)),
      TARGET_ARN: string(target.arn),
      ERROR_CODE: string(type),
      ERROR_MESSAGE: string(message),
      RETRY_ATTEMPTS: string(String(retries)),
    };
    try {
      sqs.send(queue, JSON.stringify(event), { attributes });
    } catch (error) {
      undelivered.push({ event, rule: rule.name, code: String(error) });
    }
  }

  return {
    /** What no target got and no dead-letter queue took. */
    undelivered,
    addFunction: (arn: string, invoked: InvokedFunction) => void functions.set(arn, invoked),

    /** Hands the event to each target of the rule; a fault of `Deliver` may lose, delay or repeat it. */
    toTargets(rule: Sender, event: Json): void {
      for (const target of rule.targets) {
        const fault = faults.next('Deliver');
        const since = Date.now();
        if (fault?.lost) continue;
        const delivery = {
          handOver: () => hand(rule, target, event),
          giveUp: (error: AwsError, retries: number) => bury(rule, target, event, error, retries),
          retryPolicy: target.retryPolicy,
        };
        const go = () => deliver(delivery, since, fault);
        if (fault?.delay) agenda.at(Date.now() + fault.delay, go);
        else go();
        if (fault?.duplicate) deliver(delivery, since);
      }
    },
  };
}
