/** Compares the metrics of the operator with the page that lists them. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OperatorMetrics } from './metrics.ts';

const PAGE = readFileSync(new URL('../docs/operator-metrics.md', import.meta.url), 'utf8');
const SOURCES = globSync('operator/**/*.ts', { cwd: new URL('..', import.meta.url) }).filter(
  (path) => !path.endsWith('.test.ts'),
);

test('every metric is on the page, with its type and its meaning, and no other', async () => {
  const told = [...PAGE.matchAll(/^\| `(mailrelay_\w+)` \| (\w+) \| (.+) \|$/gm)].map(
    ([, name, type, help]) => ({
      name,
      type,
      help,
    }),
  );
  assert.deepEqual(told, await new OperatorMetrics().list());
});

test('every line of the log is on the page, and no other', () => {
  const [, page = ''] = PAGE.split('## The log');
  const told = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, event]) => event);
  const said = SOURCES.flatMap((path) => {
    const text = readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
    return [...text.matchAll(/\b(?:log|onWrite)\(\s*'(\w+)'/g)].map(([, event]) => event);
  });
  assert.deepEqual(new Set(told), new Set(said));
});

test('gauges say what is, and the age of a kind is that of its quietest watch', async () => {
  const metrics = new OperatorMetrics();
  const now = performance.now();
  metrics.reconciled('ok', 12);
  metrics.reconciled('error', 12);
  metrics.answered('PATCH', 12);
  const text = await metrics.render({
    queueDepth: 3,
    queueOldestMs: 1_500,
    watches: [
      { kind: 'Pod', restarts: 1, lastEventAt: now - 1_000 },
      { kind: 'Pod', restarts: 2, lastEventAt: now - 60_000 },
      { kind: 'PodMonitor', restarts: 0, lastEventAt: undefined },
    ],
    leading: true,
  });
  const figure = (name: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`mailrelay_operator_${name} `))
        ?.split(' ')[1],
    );
  assert.equal(figure('queue_depth'), 3);
  assert.equal(figure('queue_oldest_seconds'), 1.5);
  assert.equal(figure('leader'), 1);
  assert.equal(figure('watch_restarts_total{kind="Pod"}'), 3);
  assert.ok(figure('last_event_age_seconds{kind="Pod"}') >= 60);
  assert.ok(!text.includes('last_event_age_seconds{kind="PodMonitor"}'));
  assert.equal(figure('reconciles_total{result="error"}'), 1);
  assert.equal(figure('api_answer_seconds_count{method="PATCH"}'), 1);
});
