/** The sums of a day over all pods, and the one event about them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { listEvents } from './events.ts';
import { renderStatus } from './status.ts';

type Day = NonNullable<PodStatus['tlsReports']>;

const day = (name: string, reports: number, failures = 0, discarded = 0): Day => ({
  day: name,
  reports,
  discarded,
  successes: 10 * reports,
  failures,
});

function statusAfter(before: MailRelayStatus | undefined, ...pods: (Day | null | undefined)[]) {
  const object = relayObject();
  const relay = before ? { ...object, status: before } : object;
  const views = pods.map((tlsReports, n) =>
    podView(`relay-${n}`, podReport(relay, tlsReports === undefined ? {} : { tlsReports })),
  );
  return renderStatus({ ...settledWorld({ relay, pods: views }), obstacles: [] });
}

const notes = (before: MailRelayStatus | undefined, after: MailRelayStatus) =>
  listEvents(before, after).flatMap(({ reason, note }) => (reason === 'TlsReportsReceived' ? [note] : []));

test('the day is that of all pods together, and is told once', () => {
  const first = statusAfter(undefined, day('2026-11-28', 2, 3), day('2026-11-28', 1, 0, 1));
  assert.deepEqual(first.tlsReports, day('2026-11-28', 3, 3, 1));
  assert.deepEqual(notes(undefined, first), [
    'TLS reports of 2026-11-28: 3 reports tell of 30 good sessions and 3 failed ones, 1 mail was no report: see "mailrelay tlsrpt received"',
  ]);
  const again = statusAfter(first, day('2026-11-28', 2, 3), day('2026-11-28', 0));
  assert.deepEqual(again.tlsReports, first.tlsReports, 'a pod that lost its state changes no past');
  assert.deepEqual(notes(first, again), []);
});

test('the sums wait until each pod has closed the day', () => {
  const first = statusAfter(undefined, day('2026-11-27', 1), day('2026-11-27', 1));
  const midnight = statusAfter(first, day('2026-11-28', 5), day('2026-11-27', 1));
  assert.deepEqual(midnight.tlsReports, first.tlsReports);
  const later = statusAfter(midnight, day('2026-11-28', 5), day('2026-11-28', 2));
  assert.equal(later.tlsReports?.reports, 7);
  assert.equal(notes(midnight, later).length, 1);
});

test('a day without mail writes nothing, a relay without the field has nothing', () => {
  const first = statusAfter(undefined, day('2026-11-27', 1));
  assert.deepEqual(statusAfter(first, day('2026-11-28', 0)).tlsReports, first.tlsReports);
  assert.equal(statusAfter(undefined, day('2026-11-28', 0)).tlsReports, undefined);
  assert.equal(statusAfter(first, null, null).tlsReports, undefined);
  // An older relay says nothing.
  assert.equal(statusAfter(undefined, undefined).tlsReports, undefined);
  assert.equal(statusAfter(undefined, undefined, day('2026-11-28', 1)).tlsReports?.reports, 1);
});
