import { randomUUID } from 'node:crypto';
import { REQUESTED } from '../../lib/offboarding/model/messages.ts';

export const ORG = 'org_bCE84ZIRjtX58FeO';
export const CON = 'con_PmFe8KxCsPJvZRrj';

const ROUTES: Record<string, string> = {
  'disable-connection': 'PATCH /organizations/{organization_id}/connections/{connection_id}',
  'remove-connection': 'DELETE /organizations/{organization_id}/connections/{connection_id}',
  'cancel-offboarding': 'DELETE /organizations/{organization_id}/offboarding',
  'get-offboarding': 'GET /organizations/{organization_id}/offboarding',
  'request-offboarding': 'POST /organizations/{organization_id}/offboarding',
  'list-offboardings': 'GET /offboardings',
};

const BODIES: Record<string, string> = {
  PATCH: '{"is_enabled":false}',
  POST: '{"action":"disable","reason":"bench"}',
};

/** What a function is called with: a request of the HTTP API (payload 2.0), or a message of the offboarding queue. */
export function benchmarkEvent(name: string) {
  if (name === 'offboard-organization') return queueEvent();
  const [method = '', route = ''] = ROUTES[name]?.split(' ') ?? [];
  return {
    version: '2.0',
    routeKey: `${method} ${route}`,
    headers: {
      host: 'abc.execute-api.us-east-1.amazonaws.com',
      ...(BODIES[method] && { 'content-type': 'application/json' }),
    },
    pathParameters: { organization_id: ORG, connection_id: CON },
    requestContext: {
      requestId: 'r',
      http: { method, path: route },
      authorizer: { iam: { userArn: 'arn:aws:iam::0:role/x' } },
    },
    isBase64Encoded: false,
    ...(BODIES[method] && { body: BODIES[method] }),
    ...(name === 'list-offboardings' && { queryStringParameters: { organization_id: ORG } }),
  };
}

function queueEvent() {
  const id = randomUUID();
  const detail = { organization_id: ORG, action: 'disable', requested_by: 'bench', reason: 'bench' };
  const event = { id, source: 'bench', time: new Date().toISOString(), 'detail-type': REQUESTED, detail };
  const attributes = { ApproximateReceiveCount: '1', MessageGroupId: 'single', SentTimestamp: String(Date.now()) };
  return { Records: [{ messageId: id, receiptHandle: id, body: JSON.stringify(event), attributes }] };
}
