// A test file that imports this before all else gets modules and an environment of its own: what it loads reads the environment once,
// which the file sets for itself, or it starts commands with it, or it has hooks in a module that others load. Packages of others
// stay loaded, which take most of the time. Such files run last (vitest.config.ts).
import { afterAll, vi } from 'vitest';

const before = { ...process.env };
vi.resetModules();

afterAll(() => {
  vi.resetModules();
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
});
