/**
 * docs/on-call.md is written on a cluster, which few changes see. Without one it is still known whether each fault has
 * its line, whether the line is what the fault expects, and whether a sentence of ours still ends as the code has it.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { ALONE_FAULTS } from '../cluster/oncall/alonefaults.ts';
import { CERTIFICATE_FAULTS } from '../cluster/oncall/certificatefaults.ts';
import { COMMANDS } from '../cluster/oncall/commands.ts';
import { CONFIGURATION_FAULTS } from '../cluster/oncall/configurationfaults.ts';
import type { Fault } from '../cluster/oncall/fault.ts';
import { CLIENT_FAULTS, DELIVERY_FAULTS } from '../cluster/oncall/mailfaults.ts';
import { POD_FAULTS } from '../cluster/oncall/podfaults.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const FAULTS = [
  ...[POD_FAULTS, CERTIFICATE_FAULTS, CONFIGURATION_FAULTS].flat(),
  ...[DELIVERY_FAULTS, CLIENT_FAULTS, ALONE_FAULTS].flat(),
];
/** Our own words at the end of a sentence that are enough to know it by. */
const KNOWN_BY = 13;

const lines = readFileSync(`${ROOT}docs/on-call.md`, 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(2)
  .map((line) => line.slice(2, -2).replaceAll('\\|', '\u0001').split(' | '))
  .map((cells) => cells.map((cell) => cell.replaceAll('\u0001', '|').trim()));

const literals = globSync('{crds,operator/judge,relay}/**/*.ts', { cwd: ROOT })
  .filter((file) => !file.endsWith('.test.ts'))
  .flatMap((file) => readFileSync(`${ROOT}${file}`, 'utf8').match(/'[^'\n]*'|`[^`\n]*`/g) ?? [])
  .flatMap((literal) => readEnding(literal.slice(1, -1)));

/** The end of a text that has this literal. What is filled in may be anything in one part of a sentence. */
function readEnding(literal: string): RegExp[] {
  const parts = literal.split(/\$\{[^}]*\}/);
  if (parts.join('').length < KNOWN_BY) return [];
  return [
    new RegExp(`${parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('[^:]*')}\\)?$`),
  ];
}

describe('docs/on-call.md', () => {
  test('has a line for each fault, and no other', () => {
    assert.deepEqual(lines.map(([what]) => what).toSorted(), FAULTS.map(({ what }) => what).toSorted());
  });

  for (const fault of FAULTS)
    test(`${fault.what}: the line is as the fault wants it`, () => assertLine(fault));
});

function assertLine({ name, what, row, command, shows, means }: Fault): void {
  const [, ready, reason, problems = '', typed, says = ''] = lines.find(([title]) => title === what) ?? [];
  // Behind PROBLEMS comes a column that is never empty.
  assert.match(`${name} ${ready} ${reason} ${problems.replaceAll(', ', ',')} Disabled`, row);
  assert.equal(typed, `\`${COMMANDS[command]}\``);
  // The page has what is said in one line.
  assert.match(says, new RegExp(shows.source.replaceAll('\\n', ' '), shows.flags));
  if (command !== 'wide' || means !== undefined) return;
  assert.ok(
    literals.some((ending) => ending.test(says)),
    `no sentence of the code ends as "${says}"`,
  );
}
