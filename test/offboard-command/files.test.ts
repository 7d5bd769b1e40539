// The files of organizations that people have: a folder, one file a case. To add a case is to add a file: to read/ one that
// names the two organizations below, to refused/ one that must not be read, with what is said of it in a file beside it (.says).
import '../own-modules.ts';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readOrganizations } from '../../infra/commands/offboard/files.ts';

const folder = new URL('files/', import.meta.url);
const cases = (name: string) => readdirSync(new URL(name, folder)).filter((file) => !file.endsWith('.says'));
const read = (name: string, reading = {}) => readOrganizations(readFileSync(new URL(name, folder)), reading);
const IDS = ['org_bCE84ZIRjtX58FeO', 'org_Qk2vN8sT5rWx1YzA'];

test.for(cases('read'))('is read: %s', (name) => {
  const { rows, columns } = read(`read/${name}`);
  expect(rows.map(({ organization_id }) => organization_id)).toEqual(IDS);
  for (const { cells } of rows) expect(cells.length).toBe(columns.length);
});

test.for(cases('refused'))('is refused, with the line and the value: %s', (name) => {
  const says = readFileSync(new URL(`refused/${name}.says`, folder), 'utf8').trim();
  expect(() => read(`refused/${name}`)).toThrow(says);
  // One plain sentence, whatever was in the file.
  expect(() => read(`refused/${name}`)).toThrow(/^[^\p{Cc}\p{Cf}]+\.$/u);
});

test('another column is read where it is named, and no other', () => {
  const parents = read('read/heading-that-begins-like-an-id.csv', { column: ' Org_Parent' }).rows;
  expect(parents).toEqual([
    { organization_id: 'org_Pa1rent2Pa3rent4', line: 2, cells: ['org_Pa1rent2Pa3rent4', 'org_bCE84ZIRjtX58FeO'] },
  ]);
  expect(() => read('read/comma.csv', { column: 'tenant' })).toThrow(
    'has no column "tenant"; its first line has "name", "organization_id"',
  );
  expect(() => read('read/list.txt', { column: 'organization_id' })).toThrow('put a heading on top');
});

test('the lines of what is named again are reported, and the text of cells is kept', () => {
  expect(read('read/named-again.csv').repeated).toEqual([4]);
  const { rows, columns } = read('read/all-quoted.csv');
  expect(columns).toEqual(['name', 'organization_id']);
  expect(rows[0]).toEqual({ organization_id: IDS[0], line: 2, cells: ['Acme, "the" Inc.', IDS[0]] });
  expect(read('read/utf-16-little-endian.csv').rows[0]?.cells[0]).toBe('Müller');
  expect(read('read/line-end-in-quotes.csv').rows.map(({ line }) => line)).toEqual([2, 4]);
});

test('when the file has a column connection_id, each organization has the connections of its rows, and no others', () => {
  const csv = `connection_id,organization_id
con_PmFe8KxCsPJvZRrj,${IDS[0]}
con_Wd3Ef5GhTy7UjKl9,${IDS[1]}
con_Yt4Lw9QeRb7UiXc3,${IDS[0]}
con_PmFe8KxCsPJvZRrj,${IDS[0]}
`;
  const file = readOrganizations(Buffer.from(csv));
  expect(file.rows.map(({ organization_id, only }) => [organization_id, only])).toEqual([
    [IDS[0], ['con_PmFe8KxCsPJvZRrj', 'con_Yt4Lw9QeRb7UiXc3']],
    [IDS[1], ['con_Wd3Ef5GhTy7UjKl9']],
  ]);
  expect(file.repeated).toEqual([5]);
  const all = readOrganizations(Buffer.from(csv), { allConnections: true });
  expect(all.rows.map(({ only }) => only)).toEqual([undefined, undefined]);
});

test('when connection ids stand under another heading, --all-connections says that they are not meant', () => {
  const { rows } = read('refused/connections-under-connection.csv', { allConnections: true });
  expect(rows).toEqual([{ organization_id: IDS[0], line: 2, cells: [IDS[0], 'con_PmFe8KxCsPJvZRrj'] }]);
});

test('when the first line is a customer, no option makes a heading of it', () => {
  expect(() => read('refused/no-heading-name-first.csv', { column: 'Acme' })).toThrow('put a heading on top');
  expect(() => read('refused/no-heading-name-first.csv', { column: IDS[0] })).toThrow('put a heading on top');
});
