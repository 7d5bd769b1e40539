// Which changes of the deciding code does the exploration alone see? Every mutant of StrykerJS's instrumenter is switched on in turn,
// and the worlds that meet it are explored until one shows a violation, or what nobody has approved. `--sample N` tries N of them, chosen by `--seed`; parts of
// paths choose files. It ends with the share that was seen and with what was not, which `--again FILE` tries once more, from a file
// with an earlier output.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { instrument } from '../mutation/instrument.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string' },
    seed: { type: 'string' },
    minutes: { type: 'string' },
    again: { type: 'string' },
  },
});

const inRoom = (room: string) =>
  readdirSync(`lib/offboarding/${room}`).map((file) => `lib/offboarding/${room}/${file}`);
const DECIDING = [
  ...inRoom('rules'),
  ...inRoom('worker').filter((file) => !/deliver|dispatcher/.test(file)),
  ...['update', 'accept', 'accept-event', 'accept-batch', 'cancel', 'cancel-batch', 'drift-check'].map(
    (name) => `lib/offboarding/intake/${name}.ts`,
  ),
  ...['lib/offboarding/model/status.ts', 'lib/sessions/end-sessions.ts'],
].filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)));

const { sources, mutants } = await instrument(DECIDING);
const copy = mkdtempSync(path.join(tmpdir(), 'mutants-'));
try {
  for (const name of ['lib', 'test/exploration', 'package.json'])
    cpSync(name, path.join(copy, name), { recursive: true });
  for (const [file, source] of Object.entries(sources))
    writeFileSync(path.join(copy, file), `// @ts-nocheck\n${source}`);
  symlinkSync(path.resolve('node_modules'), path.join(copy, 'node_modules'));
  mkdirSync(path.join(copy, 'mutants'));
  writeFileSync(path.join(copy, 'mutants/all.json'), JSON.stringify(mutants));
  const { sample = '', seed = '1', minutes = '', again } = values;
  const args = ['test/exploration/try-mutants.ts', sample, seed, minutes, again ? path.resolve(again) : ''];
  process.exitCode = spawnSync(process.execPath, args, { cwd: copy, stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(copy, { recursive: true });
}
