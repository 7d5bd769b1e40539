import { PutEvents$, type PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { AwsJson1_1Protocol } from '@aws-sdk/core/protocols';
import { createClient } from './client.ts';

const protocol = new AwsJson1_1Protocol({ defaultNamespace: 'com.amazonaws.eventbridge', serviceTarget: 'AWSEvents' });
const call = createClient({ name: 'events', protocol });

/** One call of PutEvents, as the SDK's command. */
export const putEvents = /* @__PURE__ */ call<typeof PutEventsCommand>(PutEvents$);
