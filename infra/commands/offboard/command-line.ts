// The words and options of the command, with their help. What a word does is loaded when it is typed.
import { createRequire } from 'node:module';
import { Command, Option } from 'commander';

const { version } = createRequire(import.meta.url)('../../../package.json');

const collect = (value: string, all: string[] = []) => [...all, value];
const REPORT = ['--report <file>', 'as .csv for a spreadsheet, .json for a program, or .html to print'] as const;

/** The command; `ended` is called with the exit status of the word that has run. */
export function commandLine(ended: (exitStatus: number) => void): Command {
  const program = new Command('npm run offboard --')
    .description(
      "Offboards many organizations: plan, look, apply exactly that. npm run offboard -- plan --help shows an example, as each command does. In PowerShell write '--', in quotes.",
    )
    .version(version)
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  const add = (word: Word) => program.addCommand(commandOf(word, ended).copyInheritedSettings(program));
  for (const word of WORDS) add(word);
  return program;
}

interface Word {
  usage: string;
  description: string;
  /** Gives the exit status. */
  run: (...given: never[]) => Promise<number>;
  example: string;
  /** A plan says where, but for the credentials. */
  isOfPlan?: true;
  options: (command: Command) => Command;
}

function commandOf(
  { usage, description, run, example, isOfPlan, options }: Word,
  ended: (exitStatus: number) => void,
): Command {
  const [name = '', ...parameters] = usage.split(' ');
  const command = new Command(name)
    .description(description)
    .addHelpText('after', `\nExample:\n${example}`)
    .action(async (...given: unknown[]) => ended(await run(...(given as never[]))));
  for (const parameter of parameters) command.argument(parameter);
  if (!isOfPlan)
    command
      .option('--stage <stage>', 'dev, staging or prod: the deployed stage')
      .option('--url <url>', 'the address of the API instead, such as http://localhost:3000');
  command
    .option('--region <region>', "of the stage; left out, the profile's")
    .option('--profile <name>', 'of the AWS configuration (SSO, MFA and roles included)');
  return options(command);
}

const WORDS: Word[] = [
  {
    usage: 'plan [file]',
    description:
      'Shows what would be done to whom and when, by a dry run of the service, and writes that as a plan. Changes nothing.',
    run: async (file: string | undefined, options) => (await import('./plan.ts')).plan(file, options),
    example: `  npm run offboard -- plan customers.csv --action disable_then_remove --grace-period P30D \\
    --reason "contract year 2026" --stage prod --out plan.json

The file: CSV with a heading organization_id (comma, semicolon or tab; UTF-8 or UTF-16), or one id a line; - is standard
input. A column connection_id names the only connections that are meant, in one or several rows of an organization.
Without a file, one --connection finds the organizations that have it. Auth0 has no call for that, so the command reads all
organizations of the tenant, 50 to 100 a minute (half of the tenant's limit, with --urgent all of it), with your own
AUTH0_DOMAIN and AUTH0_TOKEN from the environment (a Management API token with read:organizations and
read:organization_connections).`,
    options: (command) =>
      command
        .addOption(new Option('--action <action>', 'what to do').choices(['disable', 'remove', 'disable_then_remove']))
        .option('--reason <text>', 'why; on record, and in each event')
        .option('--grace-period <duration>', "ISO 8601, such as P30D; for disable_then_remove; left out, the stage's")
        .addOption(
          new Option('--on-reenable <what>', 'if somebody enables it again').choices(['report', 'disable_again']),
        )
        .option('--requested-by <who>', "who requests it; left out, the ARN of the caller's role")
        .option('--column <heading>', 'the column of the ids, where it is not organization_id')
        .option('--connection <id>', 'only this connection; may be given several times', collect)
        .option('--all-connections', 'all connections, whatever a column connection_id in the file says')
        .option('--end-sessions', 'also ends the sessions and refresh tokens of the members, where the stage does that')
        .option(
          '--end-machine-access',
          'also removes the client grants of the organizations, where the stage does that',
        )
        .option('--urgent', 'goes before other work; only where your policy allows it')
        .option('--out <file>', 'where the plan is written; left out, a new name is made')
        .option(...REPORT),
  },
  {
    usage: 'apply <plan>',
    description:
      'Does exactly what a plan says, after a question, and watches it. Applied again it is the same batches, and goes on.',
    run: async (path: string, options) => (await import('./apply.ts')).apply(path, options),
    example: '  npm run offboard -- apply plan.json --report done.html',
    isOfPlan: true,
    options: (command) => command.option('--yes', 'do not ask; for programs').option(...REPORT),
  },
  {
    usage: 'status [what...]',
    description:
      'How a plan, batches or an organization stand (after an organization may come an offboarding id); without any, what is pending over the stage.',
    run: async (names: string[], options) => (await import('./status.ts')).status(names, options),
    example: `  npm run offboard -- status plan.json --watch --report done.html
  npm run offboard -- status org_bCE84ZIRjtX58FeO --stage prod
  npm run offboard -- status --stage prod`,
    options: (command) =>
      command.option('--watch', 'until all is done; Ctrl-C stops the watching, never the work').option(...REPORT),
  },
  {
    usage: 'list [organization]',
    description:
      'What is pending over the stage, since when, what it waits for and what is overdue; with an organization, --since or --until all that was requested. Dry runs are left out.',
    run: async (organization: string | undefined, options) => (await import('./list.ts')).list(organization, options),
    example: `  npm run offboard -- list --stage prod
  npm run offboard -- list org_bCE84ZIRjtX58FeO --stage prod
  npm run offboard -- list --since 2026-07-01 --until 2026-09-30 --report third-quarter.html --stage prod

A date alone is the whole day, UTC.`,
    options: (command) =>
      command
        .option('--status <status>', 'one or more, with commas: requested, working, scheduled, completed, failed, …')
        .option('--since <time>', 'ISO 8601, a date or a time')
        .option('--until <time>', 'ISO 8601, a date or a time')
        .option('--json', 'the records as JSON')
        .option(...REPORT),
  },
  {
    usage: 'cancel <what...>',
    description:
      'Cancels a plan, batches or organizations, after a question: what is pending and disabled is enabled again.',
    run: async (names: string[], options) => (await import('./cancel.ts')).cancel(names, options),
    example: `  npm run offboard -- cancel plan.json --reason "wrong list"
  npm run offboard -- cancel org_bCE84ZIRjtX58FeO --stage prod`,
    options: (command) =>
      command
        .option('--reason <text>', 'why; on record')
        .option('--requested-by <who>', 'who requests it')
        .option('--yes', 'do not ask; for programs'),
  },
  {
    usage: 'restore <what...>',
    description:
      'Prints the calls that put back what was removed or disabled, for the Auth0 CLI: of an organization (and one offboarding of it), a plan or batches. Makes none of them.',
    run: async (names: string[], options) => (await import('./restore.ts')).restore(names, options),
    example: `  npm run offboard -- restore org_bCE84ZIRjtX58FeO --stage prod
  npm run offboard -- restore plan.json`,
    options: (command) => command,
  },
  {
    usage: 'requeue [organization]',
    description: 'Has the service work now on an organization, or on all that is overdue.',
    run: async (organization: string | undefined, options) =>
      (await import('./dispatch.ts')).requeue(organization, options),
    example:
      '  npm run offboard -- requeue --overdue --stage prod\n\nIt invokes org-connections-{stage}-dispatch-due-work: your role needs lambda:InvokeFunction on it.',
    options: (command) => command.option('--overdue', 'all that is overdue'),
  },
  {
    usage: 'redrive [organization]',
    description: 'Has the service move dead letters back to the queue that they came from: of an organization, or all.',
    run: async (organization: string | undefined, options) =>
      (await import('./dispatch.ts')).redrive(organization, options),
    example:
      '  npm run offboard -- redrive --all --stage prod\n\nIt invokes org-connections-{stage}-dispatch-due-work: your role needs lambda:InvokeFunction on it.',
    options: (command) => command.option('--all', 'all dead letters'),
  },
];
