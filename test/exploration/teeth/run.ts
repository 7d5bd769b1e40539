// Shows that the exploration has teeth: each patch brings back a row of the table, and the exploration of that row's worlds has to
// find it by the oracle alone. A patch that does not apply, or that nothing finds, fails. With numbers only these rows.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const PATCHES = 'test/exploration/teeth';
const only = process.argv.slice(2).map(Number);
const missed: string[] = [];

for (const file of readdirSync(PATCHES).filter((name) => name.endsWith('.patch'))) {
  const row = Number.parseInt(file, 10);
  if (only.length > 0 && !only.includes(row)) continue;
  const copy = mkdtempSync(path.join(tmpdir(), 'teeth-'));
  try {
    for (const name of ['lib', 'test/exploration', 'package.json'])
      cpSync(name, path.join(copy, name), { recursive: true });
    symlinkSync(path.resolve('node_modules'), path.join(copy, 'node_modules'));
    execFileSync('git', ['apply', path.resolve(PATCHES, file)], { cwd: copy });
    const { stdout } = spawnSync(process.execPath, ['test/exploration/run.ts', `row ${row}:`, '--rules'], {
      cwd: copy,
      encoding: 'utf8',
      env: { ...process.env, LIMIT: '200000' },
    });
    const lines = stdout.split('\n');
    const at = lines.findIndex((line) => line.startsWith('VIOLATED'));
    console.log(`${file}: ${at < 0 ? 'NOT FOUND' : `found: ${lines[at + 1]?.trim()}`}`);
    if (at < 0) missed.push(file);
  } finally {
    rmSync(copy, { recursive: true });
  }
}
console.log(missed.length === 0 ? 'All are found' : `Not found: ${missed.join(', ')}`);
process.exitCode = missed.length === 0 ? 0 : 1;
