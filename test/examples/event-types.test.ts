// The types that Modelina makes of the bus's description compile, and each example is of its event's type. It runs where the
// generators are installed, as in CI: npm ci --prefix .ci/generators
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { asyncapi, eventSchemas } from '../contract.ts';

const GENERATORS = fileURLToPath(new URL('../../.ci/generators/', import.meta.url));
const TSC = fileURLToPath(new URL('../../node_modules/.bin/tsc', import.meta.url));
const isInstalled = existsSync(join(GENERATORS, 'node_modules/@asyncapi/modelina'));

/** The interfaces of all events, as one file of TypeScript. */
async function generateTypes(): Promise<string> {
  const { TypeScriptGenerator } = createRequire(GENERATORS)('@asyncapi/modelina');
  const options = { modelType: 'interface', enumType: 'union', mapType: 'record', rawPropertyNames: true };
  const models: { result: string }[] = await new TypeScriptGenerator(options).generate(structuredClone(asyncapi));
  return models.map(({ result }) => result).join('\n');
}

/** The name that Modelina gives to the type of a schema with this title. */
const typeOf = (title: string) =>
  title.replaceAll('.', ' dot ').replaceAll(/(?:^|[ _])(\w)/g, (_, letter) => letter.toUpperCase());

if (!isInstalled) test.skip('the generated types of events are LEFT OUT: the generators are not installed', () => {});
test.runIf(isInstalled)('each event has a type that takes its examples and no other event', async () => {
  const lines: string[] = [];
  for (const [name, { title, examples }] of eventSchemas) {
    const type = typeOf(title);
    for (const example of examples) lines.push(`({ ...${JSON.stringify(example)} }) satisfies ${type};`);
    const other = { ...examples[0], 'detail-type': `${name}.another` };
    lines.push('// @ts-expect-error', `(${JSON.stringify(other)}) satisfies ${type};`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'org-connections-types-'));
  writeFileSync(join(folder, 'events.ts'), `${await generateTypes()}\n${lines.join('\n')}\nexport {};\n`);
  try {
    execFileSync(TSC, ['--ignoreConfig', '--noEmit', '--strict', 'events.ts'], { cwd: folder });
  } catch (error) {
    expect.unreachable(String((error as { stdout: Buffer }).stdout));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
