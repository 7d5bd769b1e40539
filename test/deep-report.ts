// What became of a deep run, as text that can be filed: `deep-report.ts FOLDER COMMIT`, where the folder has what vitest's JSON
// reporter wrote (tests.json) and what the mutation tests printed (mutants).
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

interface Results {
  numTotalTests: number;
  testResults: {
    name: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

const LONGEST_MESSAGE = 1500;
const fenced = (text: string) => `\`\`\`\n${text.slice(0, LONGEST_MESSAGE)}\n\`\`\``;

/** Each test that failed, and each file that could not even be read, with what it said. */
function failuresOf({ testResults }: Results): string[] {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const file = relative(process.cwd(), name);
    const failed = assertionResults.filter(({ status }) => status === 'failed');
    const tests = failed.map((one) => `### ${one.fullName}\n\n${file}\n\n${fenced(one.failureMessages.join('\n'))}`);
    return message && tests.length === 0 ? [`### ${file}\n\n${fenced(message)}`] : tests;
  });
}

/** What the mutation tests found too much of: the table and the survivors; undefined where all is well. */
function mutantsIn(text: string): string | undefined {
  const [, survivors] = /\nWhat no test sees:\n([\s\S]*)$/.exec(text) ?? [];
  return survivors && `### Mutants that no test sees\n\n${fenced(survivors)}`;
}

const [folder = '', commit = ''] = process.argv.slice(2);
const read = (name: string) => (existsSync(`${folder}/${name}`) ? readFileSync(`${folder}/${name}`, 'utf8') : '');
const tests = read('tests.json');
const results: Results = tests ? JSON.parse(tests) : { numTotalTests: 0, testResults: [] };
const failures = failuresOf(results);
const seed = process.env.SEED ?? '';
const sections = [
  `Deep run of ${commit}, seed ${seed}: ${results.numTotalTests} tests, ${failures.length} failures.`,
  ...(tests ? [] : ['The tests ended before they had results; the log of the run says why.']),
  `To have it again, on that commit:\n\n${fenced(`npm ci && SEED=${seed} npm run test:deep`)}`,
  ...failures,
  mutantsIn(read('mutants')),
];
console.log(sections.filter(Boolean).join('\n\n'));
