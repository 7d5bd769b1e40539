// Loaded into serverless-offline's process: it gives every request of an HTTP API the same id, where API Gateway gives each its own.
import { registerHooks } from 'node:module';

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith('/LambdaProxyIntegrationEventV2.js') || !loaded.source) return loaded;
    return { ...loaded, source: String(loaded.source).replace('"offlineContext_resourceId"', 'crypto.randomUUID()') };
  },
});
