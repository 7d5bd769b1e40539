// Loaded before a script (`node --import`), it lets a Node that is older than Lambda's run TypeScript, as do the processes that
// the script starts. Lambda's Node reads TypeScript by itself.
import { isOlder } from './language.mjs';

/** For the environment of a process that a script or a test starts. */
export const typescriptOptions = isOlder ? `--import ${import.meta.url}` : '';

if (isOlder) {
  await import('tsx');
  process.env.NODE_OPTIONS = typescriptOptions;
}
