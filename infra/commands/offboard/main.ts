// `npm run offboard -- …`: the operator's command. It talks to the service's HTTP API; what it shows is on record there, and
// stopping it stops nothing. The words: plan, look, apply exactly that.
import { handleInterrupts } from './ending.ts';
import { run } from './run.ts';

/** Ends when everything is written: a pipe may be slower than this process. */
function end(code: number): void {
  process.exitCode = code;
  process.stdout.write('', () => process.exit(code));
}

handleInterrupts();
run(process.argv.slice(2)).then(end);
