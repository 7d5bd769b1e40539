// What happens behind `npm start`, in the order in which it happens: requests, statuses, calls to Auth0, events.

export interface Entry {
  id: number;
  /** ISO 8601. */
  at: string;
  kind: 'request' | 'status' | 'auth0' | 'event' | 'play';
  /** The organizations that it is about; none where it is about no single one. */
  organization_ids: string[];
  text: string;
  detail: string;
  failed: boolean;
}

const MOST_ENTRIES = 500;

/** The ids of organizations in a text, each once. */
export const organizationsIn = (text: string) => [...new Set(text.match(/org_[A-Za-z0-9]{1,50}/g))];

/** Keeps the latest entries and hands each new one to whoever listens. */
export function createTimeline() {
  const entries: Entry[] = [];
  const listeners = new Set<(entry: Entry) => void>();
  let count = 0;
  return {
    /** The latest, oldest first. */
    entries,
    /** Adds an entry; `at` is Unix time in milliseconds. */
    add({ at = Date.now(), ...rest }: Omit<Entry, 'id' | 'at'> & { at?: number }) {
      const entry = { id: ++count, at: new Date(at).toISOString(), ...rest };
      entries.push(entry);
      if (entries.length > MOST_ENTRIES) entries.shift();
      for (const listener of listeners) listener(entry);
    },
    /** Calls `listener` with each new entry; the returned function ends that. */
    onEntry(listener: (entry: Entry) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export type Timeline = ReturnType<typeof createTimeline>;
