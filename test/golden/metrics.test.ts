/** The tables of docs/metrics.md are those of the code; "make golden" writes them anew. */
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CERTIFICATE_END, COUNTERS, GAUGES, HISTOGRAMS } from '#relay/observe/metricfamilies.ts';
import { assertGolden } from './golden.ts';

const PAGE = '../../../docs/metrics.md';
const TABLES = /(?<=<!-- tables: make golden -->\n)[\s\S]*(?=<!-- end -->)/;

test('docs/metrics.md lists every metric', () => {
  const counted = Object.values(COUNTERS).map(({ name, help, labels }) => row(name, help, ...labels));
  const measured = Object.values(HISTOGRAMS).map(({ name, help }) => row(name, help));
  const { name: end, help: of, labels } = CERTIFICATE_END;
  const read = [...Object.values(GAUGES).map(([name, help]) => row(name, help)), row(end, of, ...labels)];
  const tables = [table('Counters', counted), table('Histograms', measured), table('Gauges', read)];
  const page = readFileSync(new URL(`files/${PAGE}`, import.meta.url), 'utf8');
  assertGolden(
    PAGE,
    page.replace(TABLES, () => `${tables.join('')}\n`),
  );
});

function table(title: string, rows: readonly string[]): string {
  return `\n## ${title}\n\n| metric | labels | |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}

function row(name: string, help: string, ...labels: string[]): string {
  return `| \`${name}\` | ${labels.map((label) => `\`${label}\` `).join('')}| ${help} |`;
}
