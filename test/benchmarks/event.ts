export const ORG = 'org_bCE84ZIRjtX58FeO';
export const CON = 'con_PmFe8KxCsPJvZRrj';

/** A request of the HTTP API (payload 2.0) for `disable-connection` or `remove-connection`. */
export function benchmarkEvent(name: string) {
  const method = name === 'disable-connection' ? 'PATCH' : 'DELETE';
  const route = '/organizations/{organization_id}/connections/{connection_id}';
  return {
    version: '2.0',
    routeKey: `${method} ${route}`,
    headers: {
      host: 'abc.execute-api.us-east-1.amazonaws.com',
      ...(method === 'PATCH' && { 'content-type': 'application/json' }),
    },
    pathParameters: { organization_id: ORG, connection_id: CON },
    requestContext: {
      requestId: 'r',
      http: { method, path: route },
      authorizer: { iam: { userArn: 'arn:aws:iam::0:role/x' } },
    },
    isBase64Encoded: false,
    ...(method === 'PATCH' && { body: '{"is_enabled":false}' }),
  };
}
