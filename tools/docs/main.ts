/**
 * `npm run docs` writes the generated pages of docs/; with `--check` it compares them with what is
 * committed and ends with status 1 when one is stale. Part of `npm run check`.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { configPage } from './config-page.ts';
import { writeDriversPage } from './drivers-table.ts';
import { codeDifferences, errorsPage } from './errors-page.ts';
import { loadTables } from './table-export.ts';

const root = path.resolve(import.meta.dirname, '../..');
const isCheck = process.argv.includes('--check');
let isStale = false;

const pages = [
  { file: 'docs/errors.md', ...errorsPage(await loadTables(root, '_ERRORS')) },
  { file: 'docs/config.md', ...configPage(await loadTables(root, '_SETTINGS')) },
];

for (const { file, text, problems } of pages) {
  for (const problem of problems) process.stdout.write(`${problem}\n`);
  isStale ||= problems.length > 0;
  const target = path.join(root, file);
  const committed = existsSync(target) ? readFileSync(target, 'utf8') : '';
  if (committed === text) continue;
  if (!isCheck) {
    writeFileSync(target, text);
    process.stdout.write(`${file} written\n`);
    continue;
  }
  isStale = true;
  process.stdout.write(`${file} is stale: npm run docs\n`);
  for (const line of codeDifferences(committed, text)) process.stdout.write(`  ${line}\n`);
}
// The contract suite compares docs/drivers.md by itself; here it is only written.
if (!isCheck && (await writeDriversPage(root))) process.stdout.write('docs/drivers.md written\n');
process.exitCode = isStale ? 1 : 0;
