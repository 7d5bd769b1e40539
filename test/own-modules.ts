// Gives each test file modules and an environment of its own in a process that it shares with others: packages of others stay loaded.
import { afterAll, vi } from 'vitest';

const before = { ...process.env };

afterAll(() => {
  vi.resetModules();
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
});
