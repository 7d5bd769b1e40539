// The messages of one queue, in the order of their sends, with what SQS documents of groups, visibility and retention. Sends,
// receives and deletions cost the same however many messages wait.
import { randomUUID } from 'node:crypto';

export interface Message {
  id: string;
  body: string;
  group: string | undefined;
  attributes: Record<string, unknown>;
  /** The trace that was sent with it (`AWSTraceHeader`). */
  trace: string | undefined;
  /** Of a FIFO queue alone, these two. */
  deduplicationId: string | undefined;
  sequence: string | undefined;
  receiveCount: number;
  visibleAt: number;
  receivedAt: number;
  firstReceivedAt: number;
  receipt: string;
  sentAt: number;
  /** Somebody is at it. */
  inFlight?: boolean;
}

interface Entry {
  message: Message;
  /** Its place among all that were ever sent. */
  place: number;
  isGone: boolean;
}

/** SQS looks through this many messages of a FIFO queue for groups that have one ("FIFO queue backlog"). */
export const LOOKED_THROUGH = 120_000;

/** A list whose front is taken away: entries that are gone are passed over once. */
class Line {
  private entries: Entry[] = [];
  private head = 0;
  push(entry: Entry) {
    this.entries.push(entry);
  }
  first(): Entry | undefined {
    while (this.entries[this.head]?.isGone) this.head += 1;
    if (this.head > 1024 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
    return this.entries[this.head];
  }
  /** From the first on, without those that are gone. */
  *[Symbol.iterator]() {
    this.first();
    for (let i = this.head; i < this.entries.length; i++) {
      const entry = this.entries[i] as Entry;
      if (!entry.isGone) yield entry;
    }
  }
}

/** What `messages` gives: a list of the moment, of which `splice` also takes messages out of the queue. */
class MessageList extends Array<Message> {
  static override get [Symbol.species]() {
    return Array;
  }
  declare onRemove?: (message: Message) => void;
  override splice(start: number, count = this.length): Message[] {
    const removed = super.splice(start, count);
    for (const message of removed) this.onRemove?.(message);
    return removed;
  }
}

/** Each receive gives a message another receipt, which names the message. */
const receiptOf = ({ id }: Message) => Buffer.from(`${id}/${randomUUID()}`).toString('base64');
/** The id of the message that a receipt is of; undefined where it is no receipt. */
export const messageIdOf = (receipt: string): string | undefined =>
  /^([0-9a-f-]{36})\/[0-9a-f-]{36}$/.exec(Buffer.from(receipt, 'base64').toString())?.[1];

export function createMessages(fifo: boolean, retentionMs: number, lookedThrough = LOOKED_THROUGH) {
  const all = new Line();
  const groups = new Map<string | undefined, { line: Line; received: Set<Entry> }>();
  const byMessage = new Map<Message, Entry>();
  const byId = new Map<string, Message>();
  const received = new Set<Message>();
  /** The place behind the last message that is looked at for groups, and how many there are before it. */
  const lookedAt = { end: 0, count: 0, waiting: [] as Entry[], head: 0 };
  let sent = 0;
  let expired = 0;

  function look(): void {
    const { waiting } = lookedAt;
    while (lookedAt.count < lookedThrough && lookedAt.head < waiting.length) {
      const entry = waiting[lookedAt.head++] as Entry;
      lookedAt.end = entry.place + 1;
      if (!entry.isGone) lookedAt.count += 1;
    }
    if (lookedAt.head > 1024 && lookedAt.head * 2 > waiting.length) {
      lookedAt.waiting = waiting.slice(lookedAt.head);
      lookedAt.head = 0;
    }
  }

  function remove(message: Message): void {
    const entry = byMessage.get(message);
    if (!entry) return;
    entry.isGone = true;
    byMessage.delete(message);
    byId.delete(message.id);
    received.delete(message);
    const group = groups.get(message.group);
    group?.received.delete(entry);
    if (group && !group.line.first()) groups.delete(message.group);
    if (entry.place < lookedAt.end) lookedAt.count -= 1;
    look();
  }

  /** Retention counts from the send. */
  function expire(): void {
    for (let entry = all.first(); entry && entry.message.sentAt + retentionMs <= Date.now(); entry = all.first()) {
      remove(entry.message);
      expired += 1;
    }
  }

  const isHidden = ({ visibleAt }: Message) => visibleAt > Date.now();

  return {
    add(message: Omit<Message, 'receiveCount' | 'receivedAt' | 'firstReceivedAt' | 'receipt'>): Message {
      const added: Message = { ...message, receiveCount: 0, receivedAt: 0, firstReceivedAt: 0, receipt: '' };
      const entry: Entry = { message: added, place: sent++, isGone: false };
      all.push(entry);
      byMessage.set(added, entry);
      byId.set(added.id, added);
      const group = groups.get(message.group) ?? { line: new Line(), received: new Set() };
      groups.set(message.group, group);
      group.line.push(entry);
      lookedAt.waiting.push(entry);
      look();
      return added;
    },
    remove,

    /**
     * The next messages that may be handed out, at most `most`; of a group, none while one of it is in flight. `isDead` says
     * which is taken out instead.
     */
    receive(most: number, visibilityTimeout: number, isDead: (message: Message) => boolean): Message[] {
      expire();
      const handed: Message[] = [];
      const heads = [...groups.values()].map((group) => ({ group, place: group.line.first()?.place ?? 0 }));
      for (const { group } of heads.sort((a, b) => a.place - b.place)) {
        for (const entry of group.received) if (!isHidden(entry.message)) group.received.delete(entry);
        if (fifo && group.received.size > 0) continue;
        for (const entry of group.line) {
          if (handed.length >= most || (fifo && entry.place >= lookedAt.end)) break;
          const { message } = entry;
          if (isHidden(message)) continue;
          if (isDead(message)) {
            remove(message);
            continue;
          }
          message.receiveCount += 1;
          message.receivedAt = Date.now();
          message.firstReceivedAt ||= message.receivedAt;
          message.visibleAt = Date.now() + visibilityTimeout;
          message.receipt = receiptOf(message);
          received.add(message);
          group.received.add(entry);
          handed.push(message);
        }
      }
      return handed;
    },
    withId: (id: string) => byId.get(id),
    /** When the next hidden message can be seen again (Unix ms). */
    nextVisible() {
      let next = Number.POSITIVE_INFINITY;
      for (const message of received) if (isHidden(message)) next = Math.min(next, message.visibleAt);
      return next;
    },
    counts() {
      expire();
      const hidden = [...received].filter(isHidden).length;
      return { visible: byMessage.size - hidden, hidden, expired };
    },
    list(): Message[] {
      expire();
      const list = MessageList.from([...all].map(({ message }) => message)) as MessageList;
      Object.defineProperty(list, 'onRemove', { value: remove });
      return list;
    },
    size: () => byMessage.size,
  };
}
