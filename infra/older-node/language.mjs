// What the language has on Lambda's Node and not yet on an older one, which a developer's machine may have (`engines` in
// package.json). On Lambda's own there is nothing to do. A container starts with this, so it is short and loads nothing.
export const isOlder = Number(process.versions.node.split('.')[0]) < 24;

/** NODE_OPTIONS for a process that a script or a test starts, to run TypeScript. */
export const typescriptOptions = isOlder ? `--import ${new URL('typescript.mjs', import.meta.url)}` : '';

/** ECMAScript 2024, "Map.groupBy": each item under the key that `keyOf` gives it. */
function groupBy(items, keyOf) {
  const groups = new Map();
  let index = 0;
  for (const item of items) {
    const key = keyOf(item, index++);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** ECMAScript 2024, "Promise.withResolvers". */
function withResolvers() {
  let settle;
  const promise = new this((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle };
}

if (isOlder) {
  Map.groupBy ??= groupBy;
  Object.groupBy ??= (items, keyOf) => Object.assign(Object.create(null), Object.fromEntries(groupBy(items, keyOf)));
  Promise.withResolvers ??= withResolvers;
  // The SDK says on every start that it is to end its support for the machine's Node; here it is Lambda's that counts.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
}
