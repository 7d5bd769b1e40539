// `npm run offboard -- …`: the operator's command. It talks to the service's HTTP API; what it shows is on record there, and
// stopping it stops nothing. The words: plan, look, apply exactly that.
import { type Command, CommanderError } from 'commander';
import { commandLine } from './command-line.ts';
import { Failure, handleInterrupts, Refusal } from './ending.ts';
import { refuseHabits } from './habits.ts';
import { useCompanyNetwork } from './network.ts';
import { CallFailed, SessionEnded } from './service.ts';
import { plain, printError, reasonOf } from './terminal.ts';

let exitStatus = 0;
const program = commandLine((status) => {
  exitStatus = status;
});

async function run(): Promise<number> {
  handleInterrupts();
  const options = program.commands.flatMap((command) => command.options.flatMap(({ long }) => (long ? [long] : [])));
  refuseHabits(process.argv.slice(2), new Set(options));
  await useCompanyNetwork();
  await program.parseAsync();
  return exitStatus;
}

/** Ends when everything is written: a pipe may be slower than this process. */
function end(code: number): void {
  process.exitCode = code;
  process.stdout.write('', () => process.exit(code));
}

/** Says why the command ended, and returns its exit status. */
function explain(error: unknown, { commands }: Command): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const text = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
    if (/^\(output/.test(text)) return 2;
    const isUnknown = error.code === 'commander.unknownCommand' && !text.includes('Did you mean');
    const all = isUnknown ? ` The words are ${commands.map((one) => one.name()).join(', ')}.` : '';
    printError(`${plain(text)}${/[.)]$/.test(text) ? '' : '.'}${all}`);
    return 2;
  }
  // A prompt that Ctrl-C ended is a no.
  if (Object(error).name === 'ExitPromptError') {
    printError('Nothing was started.');
    return 2;
  }
  const isKnown = error instanceof Refusal || error instanceof Failure || error instanceof CallFailed;
  if (error instanceof SessionEnded) printError(`${error.message}.`);
  else printError(isKnown ? error.message : `Something unexpected went wrong: ${reasonOf(error)}.`);
  return error instanceof Refusal ? 2 : 1;
}

run().then(end, (error: unknown) => end(explain(error, program)));
