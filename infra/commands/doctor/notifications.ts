// The path of Auth0's notifications to the dispatcher: the partner's event source, its bus, the rule there and what it takes.
import {
  DescribeEventSourceCommand,
  DescribeRuleCommand,
  EventBridgeClient,
  ListTargetsByRuleCommand,
  TestEventPatternCommand,
} from '@aws-sdk/client-eventbridge';
import { deployStage, type Place } from './place.ts';
import type { Stack } from './stacks.ts';

/** What a rule on the bus of a source has to take; a source ends with its kind. */
const KINDS = [
  {
    suffix: '/auth0.logs',
    name: 'log stream',
    cli: 'log-streams',
    samples: ['sapi', 'my_organization_api_idp_succeeded', 'ss_sso_success'].map((type) => ({
      what: type,
      'detail-type': 'Auth0 log',
      detail: {
        log_id: 'x',
        data: { type, log_id: 'x', details: { request: { path: '/api/v2/organizations/org_a/connections' } } },
      },
    })),
  },
  {
    suffix: '',
    name: 'Event Stream',
    cli: 'event-streams',
    samples: ['added', 'updated', 'removed'].map((change) => ({
      what: `organization.connection.${change}`,
      'detail-type': `organization.connection.${change}`,
      detail: { specversion: '1.0', type: `organization.connection.${change}`, data: { object: {} } },
    })),
  },
];
type Kind = (typeof KINDS)[number];

export async function lookAtNotifications(place: Place, { template }: Stack): Promise<void> {
  const { findings } = place;
  const sources = Object.values(template.Resources).flatMap(({ Type, Properties }) =>
    Type === 'AWS::Events::EventBus' && Properties.EventSourceName ? [String(Properties.EventSourceName)] : [],
  );
  if (sources.length === 0)
    findings.note(
      'notifications: the stage has neither an Event Stream nor a log stream (auth0EventSource, auth0LogSource), so a connection that is enabled again is found within a day',
    );
  for (const source of sources) {
    const kind = KINDS.find(({ suffix }) => source.endsWith(suffix)) as Kind;
    if (!(await isSourceActive(place, source, kind))) continue;
    await lookAtRules(place, source, kind, template);
    findings.note(
      `${kind.name}: whether Auth0 sends is seen there alone: auth0 api get ${kind.cli} has its status. ${
        kind.suffix
          ? 'One that is "suspended" is started with a PATCH of {"status": "active"}'
          : 'An Event Stream switches itself off after 500 failures in a row, and stays off until somebody sends a PATCH of {"status": "enabled"}; POST event-streams/ID/redeliver sends what was lost'
      }`,
    );
  }
}

async function isSourceActive(
  { client, findings, region }: Place,
  source: string,
  { name, cli }: Kind,
): Promise<boolean> {
  const what = `event source of the ${name}`;
  const how = `Make the ${name} anew in Auth0 for this account and region (auth0 api get ${cli} shows what is there), and set the stage parameter to the source that it names`;
  const look = new EventBridgeClient(client).send(new DescribeEventSourceCommand({ Name: source }));
  const found = await findings.seen(what, look, () =>
    findings.missing(what, `${source} is not there in ${region}: no notification comes`, how),
  );
  if (!found) return false;
  if (found.State === 'ACTIVE') findings.ok(what, source);
  else findings.missing(what, `${source} is ${found.State}: no notification comes`, how);
  return found.State === 'ACTIVE';
}

async function lookAtRules(
  place: Place,
  source: string,
  { name, samples }: Kind,
  template: Stack['template'],
): Promise<void> {
  const { client, findings } = place;
  const events = new EventBridgeClient(client);
  const what = `rule of the ${name}`;
  for (const { Type, Properties } of Object.values(template.Resources)) {
    const bus = template.Resources[Properties?.EventBusName?.Ref]?.Properties;
    if (Type !== 'AWS::Events::Rule' || bus?.EventSourceName !== source) continue;
    const named = { Name: Properties.Name, EventBusName: source };
    const rule = await findings.seen(what, events.send(new DescribeRuleCommand(named)), () =>
      findings.missing(what, `${Properties.Name} is not on the bus ${source}`, deployStage(place)),
    );
    if (!rule) continue;
    const { Name, ...onBus } = named;
    const targets = events.send(new ListTargetsByRuleCommand({ Rule: Name, ...onBus }));
    const found = await findings.seen(`target of the ${name}'s rule`, targets, () => {});
    const matched = await findings.seen(what, takes(events, rule.EventPattern ?? '', source, place, samples), () => {});
    if (!found || !matched) continue;
    const lost = samples.filter((_, i) => !matched[i]).map((sample) => sample.what);
    const wrong = [
      ...(rule.State === 'ENABLED' ? [] : [`it is ${rule.State}`]),
      ...(found.Targets?.length ? [] : ['it has no target']),
      ...(lost.length > 0 ? [`it does not take ${lost.join(', ')}`] : []),
    ];
    if (wrong.length === 0) findings.ok(what, `${Name} is enabled and takes ${samples.length} kinds`);
    else
      findings.missing(
        what,
        `${Name}: ${wrong.join('; ')}`,
        `aws events enable-rule --name ${Name} --event-bus-name ${source}, or ${deployStage(place)}`,
      );
  }
}

/** Whether the pattern takes each of the samples, by EventBridge's own word. */
function takes(
  events: EventBridgeClient,
  EventPattern: string,
  source: string,
  { account, region }: Place,
  samples: Kind['samples'],
): Promise<boolean[]> {
  const envelope = { id: 'x', source, account, region, time: '2026-01-01T00:00:00Z', resources: [] };
  return Promise.all(
    samples.map(async ({ what: _, ...sample }) => {
      const Event = JSON.stringify({ ...envelope, ...sample });
      return (await events.send(new TestEventPatternCommand({ EventPattern, Event }))).Result === true;
    }),
  );
}
