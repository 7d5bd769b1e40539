// The same as plain-offboarding with the usual parts: the document client, middy, Powertools.
import { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { logMetrics } from '@aws-lambda-powertools/metrics/middleware';
import middy from '@middy/core';
import httpJsonBodyParser from '@middy/http-json-body-parser';
import { handler as plain } from './plain-offboarding.ts';

const logger = new Logger({ serviceName: 'conventional' });
const metrics = new Metrics({ namespace: 'conventional', serviceName: 'conventional' });

// biome-ignore lint/suspicious/noExplicitAny: the gateway's event
async function answer(event: any) {
  logger.info('offboarding', { route: event.routeKey });
  metrics.addMetric('Requests', MetricUnit.Count, 1);
  const body = typeof event.body === 'object' ? JSON.stringify(event.body) : event.body;
  return plain({ ...event, body });
}

const withBody = httpJsonBodyParser({ disableContentTypeError: true });
const pipeline = middy().use(injectLambdaContext(logger)).use(logMetrics(metrics));
const post = middy().use(injectLambdaContext(logger)).use(logMetrics(metrics)).use(withBody).handler(answer);
const get = pipeline.handler(answer);

// biome-ignore lint/suspicious/noExplicitAny: the gateway's event
export const handler = (event: any, context: any) =>
  (event.requestContext.http.method === 'POST' ? post : get)(event, context);
