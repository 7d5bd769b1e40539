// What the language has on Lambda's Node and not yet on an older one, which a developer's machine may have (`engines` in
// package.json). On Lambda's own there is nothing to do.
export const isOlder = Number(process.versions.node.split('.')[0]) < 24;

if (isOlder) {
  await import('core-js/modules/es.map.group-by.js');
  await import('core-js/modules/es.object.group-by.js');
  await import('core-js/modules/es.promise.with-resolvers.js');
  // The SDK says on every start that it is to end its support for the machine's Node; here it is Lambda's that counts.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
}
