import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SQSClient } from '@aws-sdk/client-sqs';

/** Each call of an AWS service is small: one that takes seconds is lost and better made again. */
const SETTINGS = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1000, requestTimeout: 3000, throwOnRequestTimeout: true },
};

// Made by the functions that use them, so that a bundle holds only its own function's clients.
export const secretsManager = () => new SecretsManagerClient(SETTINGS);
export const eventBridge = () => new EventBridgeClient(SETTINGS);
export const scheduler = () => new SchedulerClient(SETTINGS);
export const sqs = () => new SQSClient(SETTINGS);
export const dynamoDb = () => new DynamoDBClient(SETTINGS);
