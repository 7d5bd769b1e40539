// The throttles of the HTTP API's stages, as the template has them ("Throttle requests to your HTTP APIs", API Gateway developer
// guide): each route of a stage has a token bucket of its own.
import { localTemplate, type Resource } from './aws/template.ts';
import type { Check } from './front.ts';
import { createTokenBucket } from './token-bucket.ts';

interface RouteSettings {
  ThrottlingRateLimit?: number;
  ThrottlingBurstLimit?: number;
}

/** Whether a request is one of the route `key`: `PATCH /organizations/{organization_id}/…`. */
function isOfRoute(key: string, method: string, path: string): boolean {
  const [ofMethod, route = ''] = key.split(' ');
  const [wanted, given] = [route.split('/'), path.split('/')];
  const isPart = (part: string, index: number) => /^\{.+\}$/.test(part) || part === given[index];
  return ofMethod === method && wanted.length === given.length && wanted.every(isPart);
}

/**
 * Answers 429 where a route's bucket is empty, as API Gateway does. The settings are those of the stages in `resources`: a
 * route's own, else the stage's default; a route with neither has no limit here (AWS has the account's).
 */
export function createThrottleCheck(resources: Record<string, Resource> = localTemplate().Resources): Check {
  const ofType = (type: string) =>
    Object.values(resources).flatMap(({ Type, Properties }) => (Type === type ? [Properties] : []));
  const routes = ofType('AWS::ApiGatewayV2::Route').map(({ RouteKey }) => RouteKey as string);
  const stages = ofType('AWS::ApiGatewayV2::Stage').map(({ StageName, DefaultRouteSettings, RouteSettings = {} }) => {
    const buckets = routes.map((route) => {
      const { ThrottlingRateLimit: rate, ThrottlingBurstLimit: burst }: RouteSettings = {
        ...DefaultRouteSettings,
        ...RouteSettings[route],
      };
      const isLimited = rate !== undefined && burst !== undefined;
      return { route, rate, burst, bucket: isLimited ? createTokenBucket(Number(burst), Number(rate)) : undefined };
    });
    return { prefix: StageName === '$default' ? '' : `/${StageName}`, buckets };
  });

  return ({ method, url }) => {
    const { pathname } = new URL(url, 'http://localhost');
    const byPrefix = stages.toSorted((a, b) => b.prefix.length - a.prefix.length);
    const stage = byPrefix.find(({ prefix }) => pathname.startsWith(`${prefix}/`));
    const path = pathname.slice(stage?.prefix.length);
    const found = stage?.buckets.find(({ route }) => isOfRoute(route, method, path));
    if (!found?.bucket) return undefined;
    if (found.bucket.left() >= 1) return void found.bucket.take();
    const reason = `${found.route} takes ${found.rate} requests a second and ${found.burst} at once`;
    return { status: 429, message: 'Too Many Requests', reason };
  };
}
