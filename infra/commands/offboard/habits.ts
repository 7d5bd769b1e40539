// What people type by habit, and what npm or PowerShell has kept for itself: refused, with what to type instead.
import { Refusal } from './ending.ts';
import { plain } from './terminal.ts';

/** `options` are the names of all options of the command. Throws a `Refusal`. */
export function refuseHabits(words: string[], options: Set<string>): void {
  const names = new Set(['--dry-run', ...options]);
  // `--yes` that npm keeps only means that there is a question.
  names.delete('--yes');
  const kept = [...names].find((name) => {
    const value = process.env[`npm_config_${name.slice(2).replaceAll('-', '_')}`];
    return value !== undefined && value !== '' && value !== 'false';
  });
  if (kept !== undefined)
    throw new Refusal(
      `npm has kept ${kept} for itself: options come after "--", as in npm run offboard -- plan customers.csv --action disable (PowerShell swallows it: there write '--', in quotes). Nothing was started.`,
    );
  if (words.some((one) => /^--dry-?run(=|$)/.test(one)))
    throw new Refusal(
      `There is no --dry-run: "plan" is the dry run and changes nothing (npm run offboard -- plan …), "apply" does what a plan says. Nothing was started.`,
    );
  const [first] = words;
  if (first && /\.(csv|txt|tsv)$/i.test(first))
    throw new Refusal(`A word comes first: npm run offboard -- plan ${plain(first)} … Nothing was started.`);
}
