import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parsePodStatus, printPodStatus } from '#crds/podstatus.ts';
import { ADMIN_PORT } from '#crds/wellknown.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { until } from '#test/kit/wait.ts';
import { PodPoller, pauseMs } from './poller.ts';

/** All pods have the same port, so each test process uses its own address. */
const IP = `127.89.${(process.pid >> 8) & 255}.${process.pid & 255 || 255}`;
const REPORT = podReport(relayObject());

test('a pod that answers without end is given up, as one that cannot be reached', async (t) => {
  const more = Buffer.alloc(64 * 1024, ' ');
  const pour = (response: ServerResponse) => void response.write(more, (error) => error ?? pour(response));
  const server = createServer((_, response) => pour(response));
  await new Promise<void>((listening) => server.listen(ADMIN_PORT, IP, listening));
  const told: string[] = [];
  const poller = new PodPoller((key) => told.push(key));
  t.after(async () => {
    await poller.stop();
    server.closeAllConnections();
    server.close();
  });
  poller.follow('mail/relay', new Map([['relay-0', { uid: 'a', ip: IP }]]));
  await until('the word that the pod was asked', () => told.length > 0);
  assert.ok(poller.hasAsked('mail/relay'));
  assert.equal(poller.reportOf('mail/relay', 'relay-0', 'a'), undefined);
});

test('a report is read as large as a relay can print it', async (t) => {
  const long = Array(1_000).fill('x'.repeat(2_000));
  const certificate = { ...(REPORT.certificate as NonNullable<typeof REPORT.certificate>), names: long };
  const internalAuthority = 'x'.repeat(1024 * 1024);
  const report = { ...REPORT, internalAuthority, notInForce: long, missing: long, certificate };
  const server = createServer(({ url }, response) => {
    if (url === '/status') response.end(printPodStatus(report));
  });
  await new Promise<void>((listening) => server.listen(ADMIN_PORT, IP, listening));
  const poller = new PodPoller(() => undefined);
  t.after(async () => {
    await poller.stop();
    server.closeAllConnections();
    server.close();
  });
  poller.follow('mail/relay', new Map([['relay-0', { uid: 'a', ip: IP }]]));
  const known = await until('the report', () => poller.reportOf('mail/relay', 'relay-0', 'a'));
  assert.deepEqual(known, parsePodStatus(JSON.stringify(report)));
  assert.equal(known.internalAuthority?.length, 64 * 1024);
});

test('what is cut off a report stays in no memory', async (t) => {
  const pods = 100;
  const server = createServer((_, response) => {
    response.end(
      JSON.stringify({ ...REPORT, internalAuthority: 'x'.repeat(300 * 1024), version: 'y'.repeat(100_000) }),
    );
  });
  await new Promise<void>((listening) => server.listen(ADMIN_PORT, IP, listening));
  const poller = new PodPoller(() => undefined);
  t.after(async () => {
    await poller.stop();
    server.closeAllConnections();
    server.close();
  });
  const targets = Array.from(
    { length: pods },
    (_, index) => [`relay-${index}`, { uid: 'a', ip: IP }] as const,
  );
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  const before = process.memoryUsage().heapUsed;
  poller.follow('mail/relay', new Map(targets));
  await until(
    'all reports',
    () => targets.every(([name]) => poller.reportOf('mail/relay', name, 'a')),
    60_000,
  );
  const held = async () => {
    collect();
    return process.memoryUsage().heapUsed - before < pods * 200 * 1024;
  };
  await until('the rest to be forgotten', held);
});

test('answers that always come at once are asked for once a second, failures less and less often', () => {
  assert.deepEqual(
    [0, 19, 20, 1_000].map((hasty) => pauseMs(0, hasty)),
    [0, 0, 1_000, 1_000],
  );
  assert.deepEqual(
    [1, 2, 6, 1_000].map((failures) => pauseMs(failures, 0)),
    [500, 1_000, 15_000, 15_000],
  );
});

/** A pod that cuts its first connections, and then answers. */
async function startCutting(t: TestContext, cuts: number) {
  let polls = 0;
  const server = createServer(({ url, socket }, response) => {
    polls += 1;
    if (polls <= cuts) socket.destroy();
    else if (url === '/status') response.end(printPodStatus(REPORT));
  });
  await new Promise<void>((listening) => server.listen(ADMIN_PORT, IP, listening));
  const told: boolean[] = [];
  const poller: PodPoller = new PodPoller(() =>
    told.push(poller.reportOf('mail/relay', 'relay-0', 'a') !== undefined),
  );
  t.after(async () => {
    await poller.stop();
    server.closeAllConnections();
    server.close();
  });
  poller.follow('mail/relay', new Map([['relay-0', { uid: 'a', ip: IP }]]));
  await until('the first word', () => told.length > 0);
  return { told, poller, polls: () => polls };
}

test('an answer that is lost at the start is no word about the pod: the next one is', async (t) => {
  for (const cuts of [1, 2]) {
    await t.test(`${cuts} lost`, async (inner) => {
      const { told, poller } = await startCutting(inner, cuts);
      assert.deepEqual(told, [true]);
      assert.ok(poller.hasAsked('mail/relay'));
    });
  }
});

test('a pod that never answers counts as asked after three failures', async (t) => {
  const { told, poller, polls } = await startCutting(t, Number.POSITIVE_INFINITY);
  assert.deepEqual([told, polls()], [[false], 3]);
  assert.ok(poller.hasAsked('mail/relay'));
});
