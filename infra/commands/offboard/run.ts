// Runs the words of the operator's command, and says why it ended.
import { type Command, CommanderError } from 'commander';
import { commandLine } from './command-line.ts';
import { Failure, Refusal } from './ending.ts';
import { refuseHabits } from './habits.ts';
import { useCompanyNetwork } from './network.ts';
import { CallFailed, SessionEnded } from './service.ts';
import { plain, printError, reasonOf } from './terminal.ts';

/** Runs what was typed after `npm run offboard --`. Gives the exit status (`ending.ts`); throws nothing. */
export async function run(words: string[]): Promise<number> {
  let exitStatus = 0;
  const program = commandLine((status) => {
    exitStatus = status;
  });
  try {
    const options = program.commands.flatMap((command) => command.options.flatMap(({ long }) => (long ? [long] : [])));
    refuseHabits(words, new Set(options));
    program.hook('preAction', useCompanyNetwork);
    await program.parseAsync(words, { from: 'user' });
    return exitStatus;
  } catch (error) {
    return explain(error, program);
  }
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
