// A short name for each text, the same for the same text until everything is forgotten: what is compared often is compared by it.

let names = new Map<string, string>();
const kept: WeakMap<object, string>[] = [];

/** Before another scenario. */
export function forgetNames(): void {
  names = new Map();
  for (const place of kept.keys()) kept[place] = new WeakMap();
}

export function nameOf(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = `#${names.size}`;
    names.set(text, name);
  }
  return name;
}

/** Names each object of a kind by a text of it, which is computed once. */
export function namedBy<T extends object>(textOf: (one: T) => string): (one: T) => string {
  const place = kept.push(new WeakMap()) - 1;
  return (one) => {
    const known = kept[place] as WeakMap<object, string>;
    let name = known.get(one);
    if (name === undefined) {
      name = nameOf(textOf(one));
      known.set(one, name);
    }
    return name;
  };
}
