// How the page makes its elements. Whatever comes from outside is text, never markup.

/** An element with properties, `data-` and `aria-` attributes among them, and children (elements or text). */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && !name.includes('-')) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Sets a text only where it differs, so that nobody hears it twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`: each is kept as long as its key is there, so whoever has the focus keeps it.
 * `create` makes a child, and the function that it returns beside it brings the child up to date.
 */
export function keepChildren(parent, items, keyOf, create) {
  parent.kept ??= new Map();
  const keys = new Set(items.map(keyOf));
  for (const [key, { node }] of parent.kept) {
    if (keys.has(key)) continue;
    const hadFocus = node.contains(document.activeElement);
    node.remove();
    parent.kept.delete(key);
    if (hadFocus) parent.closest('[tabindex]')?.focus();
  }
  items.forEach((item, index) => {
    const key = keyOf(item);
    let child = parent.kept.get(key);
    if (!child) {
      const [node, update] = create(item);
      child = { node, update };
      parent.kept.set(key, child);
    }
    if (parent.children[index] !== child.node) parent.insertBefore(child.node, parent.children[index] ?? null);
    child.update(item);
  });
}
