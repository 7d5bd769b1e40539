import { hash } from 'node:crypto';

// A short name for each text, the same for the same text until everything is forgotten: what is compared often is compared by it.

let names = new Map<string, string>();
const known: WeakMap<object, string>[] = [];

/** Before another scenario. */
export function forgetNames(): void {
  names = new Map();
  for (const place of known.keys()) known[place] = new WeakMap();
}

/** What is longer is kept as its hash: texts are kept until everything is forgotten. */
const LONGEST = 2000;

export function nameOf(text: string): string {
  const kept = text.length > LONGEST ? hash('md5', text, 'base64') : text;
  let name = names.get(kept);
  if (name === undefined) {
    name = `#${names.size}`;
    names.set(kept, name);
  }
  return name;
}

/** Names each object of a kind by a text of it, which is computed once. */
export function namedBy<T extends object>(textOf: (one: T) => string): (one: T) => string {
  const place = known.push(new WeakMap()) - 1;
  return (one) => {
    const own = known[place] as WeakMap<object, string>;
    let name = own.get(one);
    if (name === undefined) {
      name = nameOf(textOf(one));
      own.set(one, name);
    }
    return name;
  };
}

/** Remembers what was computed of an object under a name, as long as the object lives. */
export function memoryOf<R>(): (one: object, name: string, compute: () => R) => R {
  const computed = new WeakMap<object, Map<string, R>>();
  return (one, name, compute) => {
    let own = computed.get(one);
    if (!own) {
      own = new Map();
      computed.set(one, own);
    }
    let result = own.get(name);
    if (result === undefined) {
      result = compute();
      own.set(name, result);
    }
    return result;
  };
}
