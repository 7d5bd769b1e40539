// How the command ends: 0 all as planned, 1 something failed or watching ended early, 2 nothing was started.

/** Bad input, or a no: one plain sentence, and nothing was started. */
export class Refusal extends Error {}

/** Something failed, or may have been started: one plain sentence. */
export class Failure extends Error {}

let lastWords: () => string = () => '\nStopped. Nothing was started.';
let status = 2;

/** What Ctrl-C says from now on, and the exit status that it gives. */
export function onInterrupt(words: () => string, exitStatus: 1 | 2): void {
  lastWords = words;
  status = exitStatus;
}

/** From now on Ctrl-C says what it has stopped, and what it has not. */
export function handleInterrupts(): void {
  const end = () => {
    process.stderr.write(`${lastWords()}\n`);
    process.exit(status);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  // Whoever reads the output has gone (`| head`): that ends the command as Ctrl-C does.
  process.stdout.on('error', end);
}
