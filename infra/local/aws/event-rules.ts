// The rules of event buses (EventBridge API reference): what they take, their targets, and rules with a schedule.
import { randomUUID } from 'node:crypto';
import { ruleArn, type Target } from './event-delivery.ts';
import { compilePattern, PatternError } from './pattern.ts';
import { ACCOUNT, type Agenda, AwsError, type Json, type Operation, REGION, text } from './wire.ts';

export interface BusEvent extends Json {
  id: string;
  source: string;
  'detail-type': string;
  time: string;
  detail: Json;
}

export interface Rule {
  name: string;
  bus: string;
  takes: (event: BusEvent) => boolean;
  targets: Target[];
  isDisabled?: boolean;
}

/** A rule with this name may be given, replaced, enabled and disabled by an operator. */
export function createRules(agenda: Agenda, toTargets: (rule: Rule, event: BusEvent) => void) {
  const rules: Rule[] = [];

  const busIn = (input: Json) => (input.EventBusName === undefined ? 'default' : text(input, 'EventBusName'));
  function ruleIn(input: Json, nameMember: string): Rule {
    const [name, bus] = [text(input, nameMember), busIn(input).split('/').at(-1)];
    const rule = rules.find((one) => one.name === name && one.bus === bus);
    if (!rule) throw new AwsError('ResourceNotFoundException', `Rule ${name} does not exist on EventBus ${bus}.`);
    return rule;
  }

  /** A pattern is read once, here: what EventBridge refuses, or is not played, is refused now and not with the first event. */
  function takesOf(pattern: string): Rule['takes'] {
    try {
      return compilePattern(JSON.parse(pattern));
    } catch (error) {
      if (!(error instanceof PatternError || error instanceof SyntaxError)) throw error;
      throw new AwsError('InvalidEventPatternException', `Event pattern is not valid. Reason: ${error.message}`);
    }
  }

  /** What an operator's own rule takes. A rule of that name keeps its targets. */
  function putRule(input: Json): Json {
    const [name, bus] = [text(input, 'Name'), busIn(input)];
    const isDisabled = input.State === 'DISABLED';
    const rule: Rule = { name, bus, takes: takesOf(text(input, 'EventPattern')), targets: [], isDisabled };
    const found = rules.find((one) => one.name === name && one.bus === bus);
    if (found) Object.assign(found, { takes: rule.takes, isDisabled });
    else rules.push(rule);
    return { RuleArn: ruleArn(rule) };
  }

  function putTargets(input: Json): Json {
    const rule = ruleIn(input, 'Rule');
    for (const { Id, Arn } of input.Targets as { Id: string; Arn: string }[]) rule.targets.push({ id: Id, arn: Arn });
    return { FailedEntryCount: 0, FailedEntries: [] };
  }

  function setDisabled(input: Json, isDisabled: boolean): Json {
    ruleIn(input, 'Name').isDisabled = isDisabled;
    return {};
  }

  const operations: Record<string, Operation> = {
    PutRule: putRule,
    PutTargets: putTargets,
    EnableRule: (input) => setDisabled(input, false),
    DisableRule: (input) => setDisabled(input, true),
    DescribeRule(input) {
      const rule = ruleIn(input, 'Name');
      const State = rule.isDisabled ? 'DISABLED' : 'ENABLED';
      return { Name: rule.name, Arn: ruleArn(rule), EventBusName: rule.bus, State };
    },
  };

  return {
    operations,
    addRule: (rule: Rule) => void rules.push(rule),

    /** The enabled rules of the bus that take the event; of those that are named, where some are. */
    matching: (event: BusEvent, bus: string, arns?: string[]) =>
      rules.filter(
        (rule) => rule.bus === bus && !rule.isDisabled && (arns?.includes(ruleArn(rule)) ?? true) && rule.takes(event),
      ),

    /** A rule that sends by rate, in milliseconds, where it `runs` by itself. */
    addSchedule(name: string, every: number, targets: Target[], runs: boolean): void {
      const rule: Rule = { name, bus: 'default', takes: () => false, targets };
      const run = () => {
        if (!rule.isDisabled) toTargets(rule, scheduledEvent(ruleArn(rule)));
        agenda.at(Date.now() + every, run);
      };
      rules.push(rule);
      if (runs) agenda.at(Date.now() + every, run);
    },
  };
}

/** What a rule with a schedule sends. */
const scheduledEvent = (resource: string): BusEvent => ({
  version: '0',
  id: randomUUID(),
  'detail-type': 'Scheduled Event',
  source: 'aws.events',
  account: ACCOUNT,
  time: `${new Date().toISOString().slice(0, 19)}Z`,
  region: REGION,
  resources: [resource],
  detail: {},
});
