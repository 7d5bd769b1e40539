import * as scheduler from '@aws-sdk/client-scheduler';
import { AwsRestJsonProtocol } from '@aws-sdk/core/protocols';
import { createClient } from './client.ts';

const protocol = new AwsRestJsonProtocol({ defaultNamespace: 'com.amazonaws.scheduler' });
const call = createClient({ name: 'scheduler', protocol });

/** One call of CreateSchedule, as the SDK's command. */
export const createSchedule = /* @__PURE__ */ call<typeof scheduler.CreateScheduleCommand>(scheduler.CreateSchedule$);
