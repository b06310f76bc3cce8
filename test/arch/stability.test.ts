/** What docs/stability.md says of today, held against the code: a form that changes changes the page. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { POLICY_FILE_NAME, POLICY_FORMAT } from '#crds/policyfile.ts';
import { API_VERSION } from '#crds/wellknown.ts';
import { logLine } from '#operator/log.ts';
import { jsonLog } from '#relay/observe/log.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The second cell of each row, by the first. */
const now = new Map(
  read('docs/stability.md')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split(' | ') as [string, string])
    .map(([thing, today]) => [thing.slice(2), today]),
);

/** The names in code at the begin of what a row says of lines. */
function fieldsOf(thing: string): string[] {
  const [, names = ''] = /((?:`\w+`, )*`\w+`) are in every line/.exec(now.get(thing) ?? '') ?? [];
  return names.replaceAll('`', '').split(', ');
}

/** A line of a relay without fields of its event. */
function relayLine(): string {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-stability-'));
  const file = join(dir, 'log');
  const fd = openSync(file, 'w');
  try {
    jsonLog('router', fd, Date.now)('task_started');
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(fd);
    rmSync(dir, { recursive: true });
  }
}

test('the fields of every line of a log are those that the page names', ({ mock }) => {
  assert.deepEqual(fieldsOf('Log of a relay'), Object.keys(JSON.parse(relayLine())));
  const lines: string[] = [];
  const write = mock.method(process.stdout, 'write', (line: string) => lines.push(line) > 0);
  logLine('leading');
  write.mock.restore();
  assert.deepEqual(fieldsOf('Log of the operator'), Object.keys(JSON.parse(lines[0] ?? '')));
});

test('the page names the versions and formats of today', () => {
  const says = (thing: string, ...words: string[]) => {
    for (const word of words) assert.ok(now.get(thing)?.includes(word), `${thing}: ${word}`);
  };
  says('Fields of the MailRelay', `\`${API_VERSION}\``);
  says('Policy file', `format ${POLICY_FORMAT},`, `\`${POLICY_FILE_NAME}\``);
  says('Status of a pod (`/status`)', `format ${podReport(relayObject()).format},`);
  const { kubeVersion } = parse(read('charts/mailrelay-operator/Chart.yaml')) as { kubeVersion: string };
  says('Kubernetes', `${/\d+\.\d+/.exec(kubeVersion)?.[0]} or later`);
});
