// The stand-ins of AWS with the SDK's clients for them, and a clock that can be put forward.
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SQSClient } from '@aws-sdk/client-sqs';
import { vi } from 'vitest';
import { startAws } from '../../infra/local/aws.ts';

export async function startServices(options: Parameters<typeof startAws>[0] = {}) {
  const aws = await startAws(options);
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const client = { endpoint: aws.url, region: 'us-east-1', credentials, maxAttempts: 1 };
  return {
    aws,
    sqs: new SQSClient(client),
    events: new EventBridgeClient(client),
    scheduler: new SchedulerClient(client),
    dynamoDb: new DynamoDBClient(client),
    /** Puts the clock forward, and has what is due by then be done. */
    later(ms: number, queue: string) {
      vi.setSystemTime(Date.now() + ms);
      aws.wake(queue);
    },
  };
}
export type Services = Awaited<ReturnType<typeof startServices>>;
