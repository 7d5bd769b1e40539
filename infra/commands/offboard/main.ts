// `npm run offboard -- …`: the operator's command. It talks to the service's HTTP API; what it shows is on record there, and
// stopping it stops nothing. The words: plan, look, apply exactly that.
import { createRequire } from 'node:module';
import { Command, CommanderError, Option } from 'commander';
import { apply } from './apply.ts';
import { cancel } from './cancel.ts';
import { Failure, handleInterrupts, Refusal } from './ending.ts';
import { list } from './list.ts';
import { plan } from './plan.ts';
import { requeue } from './requeue.ts';
import { restore } from './restore.ts';
import { CallFailed } from './service.ts';
import { status } from './status.ts';
import { plain, reasonOf } from './terminal.ts';

const { version } = createRequire(import.meta.url)('../../../package.json');
let exitStatus = 0;

const program = new Command('npm run offboard --')
  .description('Offboards many organizations: plan, look, apply exactly that. "WORD --help" has an example of each.')
  .version(version)
  .configureOutput({ outputError: () => {} })
  .exitOverride();

/** A word of the command; `run` gives the exit status. */
function word(
  usage: string,
  description: string,
  run: (...given: never[]) => Promise<number>,
  example: string,
): Command {
  return program
    .command(usage)
    .description(description)
    .addHelpText('after', `\nExample:\n${example}`)
    .action(async (...given: unknown[]) => {
      exitStatus = await run(...(given as never[]));
    });
}

const collect = (value: string, all: string[] = []) => [...all, value];
const credentials = (command: Command) =>
  command
    .option('--region <region>', "of the stage; left out, the profile's")
    .option('--profile <name>', 'of the AWS configuration (SSO, MFA and roles included)');
const where = (command: Command) =>
  credentials(
    command
      .option('--stage <stage>', 'dev, staging or prod: the deployed stage')
      .option('--url <url>', 'the address of the API instead, such as http://localhost:3000'),
  );

where(
  word(
    'plan [file]',
    'Shows what would be done to whom and when, by a dry run of the service, and writes that as a plan. Changes nothing.',
    (file: string | undefined, options) => plan(file, options),
    `  npm run offboard -- plan customers.csv --action disable_then_remove --grace-period P30D \\
    --reason "contract year 2026" --stage prod --out plan.json

The file: CSV with a heading organization_id (comma, semicolon or tab; UTF-8 or UTF-16), or one id a line; - is standard input.
Without a file, one --connection finds the organizations that have it. Auth0 has no call for that: all of the tenant's
organizations are gone through, 50 to 100 a minute (half of the tenant's limit, with --urgent all of it), with your own AUTH0_DOMAIN and AUTH0_TOKEN from the environment (a
Management API token with read:organizations and read:organization_connections).`,
  ),
)
  .addOption(new Option('--action <action>', 'what to do').choices(['disable', 'remove', 'disable_then_remove']))
  .option('--reason <text>', 'why; on record, and in each event')
  .option('--grace-period <duration>', "ISO 8601, such as P30D; for disable_then_remove; left out, the stage's")
  .addOption(new Option('--on-reenable <what>', 'if somebody enables it again').choices(['report', 'disable_again']))
  .option('--requested-by <who>', "who asks; left out, the ARN of the caller's role")
  .option('--column <heading>', 'the column of the ids, where it is not organization_id')
  .option('--connection <id>', 'only this connection; may be given several times', collect)
  .option('--urgent', 'goes before other work; only where your policy allows it')
  .option('--out <file>', 'where the plan is written; left out, a new name is made')
  .option('--report <file>', 'the dry run by connection, as .csv or .json');

credentials(
  word(
    'apply <plan>',
    'Does exactly what a plan says, after a question, and watches it. Applied again it is the same batches, and goes on.',
    (path: string, options) => apply(path, options),
    '  npm run offboard -- apply plan.json --report done.csv',
  ),
)
  .option('--yes', 'do not ask; for programs')
  .option('--report <file>', 'what became of each connection, as .csv or .json');

where(
  word(
    'status [what...]',
    'How a plan or batches stand; without either, what is pending over the stage.',
    (names: string[], options) => status(names, options),
    '  npm run offboard -- status plan.json --watch --report done.csv\n  npm run offboard -- status --stage prod',
  ),
)
  .option('--watch', 'until all is done; Ctrl-C stops the watching, never the work')
  .option('--report <file>', 'what became of each connection, as .csv or .json');

where(
  word(
    'list',
    'What is pending over the stage; with --since or --until all that was asked for in that time. Dry runs are left out.',
    (options) => list(options),
    `  npm run offboard -- list --stage prod
  npm run offboard -- list --since 2026-07-01 --until 2026-09-30 --report third-quarter.csv --stage prod

A date alone is the whole day, UTC.`,
  ),
)
  .option('--status <status>', 'one or more, with commas: requested, working, scheduled, completed, failed, …')
  .option('--since <time>', 'ISO 8601, a date or a time')
  .option('--until <time>', 'ISO 8601, a date or a time')
  .option('--json', 'the records as JSON')
  .option('--report <file>', 'by connection, who lost access, why and by whom, as .csv or .json');

where(
  word(
    'cancel <what...>',
    'Calls off a plan, batches or organizations, after a question: what is pending and disabled is enabled again.',
    (names: string[], options) => cancel(names, options),
    `  npm run offboard -- cancel plan.json --reason "wrong list"
  npm run offboard -- cancel org_bCE84ZIRjtX58FeO --stage prod`,
  ),
)
  .option('--reason <text>', 'why; on record')
  .option('--requested-by <who>', 'who asks')
  .option('--yes', 'do not ask; for programs');

where(
  word(
    'restore <what>',
    'Prints the calls that put back what an offboarding removed or disabled, for the Auth0 CLI. Makes none of them.',
    (named: string, options) => restore(named, options),
    '  npm run offboard -- restore org_bCE84ZIRjtX58FeO --stage prod',
  ),
);

where(
  word(
    'requeue [organization]',
    'Has the service look again at an organization, an offboarding, or all that is overdue.',
    (organization: string | undefined, options) => requeue(organization, options),
    '  npm run offboard -- requeue --overdue --stage prod\n\nIt invokes org-connections-{stage}-watch-offboardings: your role needs lambda:InvokeFunction on it.',
  ),
)
  .option('--offboarding <id>', 'this one')
  .option('--overdue', 'all that is overdue');

/** What people type by habit, and what npm has kept for itself: refused, with what to type instead. */
function refuseHabits(words: string[]): void {
  const names = new Set(program.commands.flatMap(({ options }) => options.flatMap(({ long }) => (long ? [long] : []))));
  // `--yes` that npm keeps only means that there is a question.
  names.delete('--yes');
  const kept = ['--dry-run', ...names].find((name) => {
    const value = process.env[`npm_config_${name.slice(2).replaceAll('-', '_')}`];
    return value !== undefined && value !== '' && value !== 'false';
  });
  if (kept !== undefined)
    throw new Refusal(
      `npm has kept ${kept} for itself: options come after "--", as in npm run offboard -- plan customers.csv --action disable. Nothing was started.`,
    );
  if (words.some((one) => /^--dry-?run(=|$)/.test(one)))
    throw new Refusal(
      `There is no --dry-run: "plan" is the dry run and changes nothing (npm run offboard -- plan …), "apply" does what a plan says. Nothing was started.`,
    );
  const [first] = words;
  if (first && /\.(csv|txt|tsv)$/i.test(first))
    throw new Refusal(`A word comes first: npm run offboard -- plan ${plain(first)} … Nothing was started.`);
}

async function run(): Promise<number> {
  const words = process.argv.slice(2);
  handleInterrupts();
  refuseHabits(words);
  await program.parseAsync();
  return exitStatus;
}

/** Ends when everything is written: a pipe may be slower than this process. */
const end = (code: number) => process.stdout.write('', () => process.exit(code));

run().then(
  (code) => end(code),
  (error: unknown) => {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return end(0);
      const text = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
      if (!/^\(output/.test(text)) {
        const words = error.code === 'commander.unknownCommand' && !text.includes('Did you mean');
        const all = words ? ` The words are ${program.commands.map((one) => one.name()).join(', ')}.` : '';
        console.error(`${plain(text)}${/[.)]$/.test(text) ? '' : '.'}${all}`);
      }
      return end(2);
    }
    // A prompt that Ctrl-C ended is a no.
    if (Object(error).name === 'ExitPromptError') {
      console.error('Nothing was started.');
      return end(2);
    }
    if (error instanceof Refusal) {
      console.error(error.message);
      return end(2);
    }
    const known = error instanceof Failure || error instanceof CallFailed;
    console.error(known ? error.message : `Something unexpected went wrong: ${reasonOf(error)}.`);
    return end(1);
  },
);
