// Loaded before a script (`node --import`), it lets a Node that is older than Lambda's run TypeScript, as do the processes that
// the script starts. Lambda's Node reads TypeScript by itself.
import { isOlder, typescriptOptions } from './language.mjs';

if (isOlder) {
  await import('tsx');
  process.env.NODE_OPTIONS = typescriptOptions;
}
