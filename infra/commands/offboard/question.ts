// The question before something is changed.
import { Refusal } from './ending.ts';
import { print } from './terminal.ts';

export interface Question {
  /** What is asked, and the only word that is a yes. */
  question: string;
  answer: string;
  /** `--yes` was given. */
  yes: boolean | undefined;
  /** What a no means: "Nothing was started." */
  otherwise?: string;
}

/** Resolves when the answer was typed, or with `--yes`. Throws a `Refusal` for anything else, the end of the input included. */
export async function ask({ question, answer, yes, otherwise = 'Nothing was started.' }: Question): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new Refusal(
      `Nobody can be asked here: --yes is needed. ${otherwise} (With npm, options come after "--"; in PowerShell after '--', in quotes.)`,
    );
  print(question);
  const { default: input } = await import('@inquirer/input');
  const given = await input({ message: `Type ${answer} to go on:` }).catch((error: unknown) => {
    if (Object(error).name === 'ExitPromptError') throw new Refusal(otherwise);
    throw error;
  });
  if (given.trim() !== answer) throw new Refusal(`That was not "${answer}". ${otherwise}`);
}
