// How many organizations were offboarded the last time, by place: kept on this machine, for a comparison in the next plan.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Service } from './service.ts';

interface LastTime {
  organizations: number;
  at: string;
}

const memory = () =>
  join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'org-connections', 'last-time.json');

function remembered(): Record<string, LastTime> {
  try {
    return Object(JSON.parse(readFileSync(memory(), 'utf8')));
  } catch {
    return {};
  }
}

export const lastTime = ({ where }: Service): LastTime | undefined => remembered()[where];

/** Remembers how many were offboarded. Never fails. */
export function remember({ where }: Service, organizations: number): void {
  try {
    mkdirSync(dirname(memory()), { recursive: true });
    const content = { ...remembered(), [where]: { organizations, at: new Date().toISOString() } };
    writeFileSync(memory(), JSON.stringify(content), { mode: 0o600 });
  } catch {
    // Nothing but a comparison is lost.
  }
}
