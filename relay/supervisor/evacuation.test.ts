import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { POLICY_FILE_NAME, printPolicy } from '#crds/policyfile.ts';
import { parseScale, printScale, SCALE_FILE_NAME } from '#crds/scalefile.ts';
import { makePair } from '#test/kit/ca.ts';
import { startPodRelay } from '#test/kit/podrelay.ts';
import { freePort } from '#test/kit/ports.ts';
import { hopTo, listenerAt, mount, type PodDirs, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { Sink } from '#test/kit/sink.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually, until } from '#test/kit/wait.ts';
import { Spool } from '../spool/spool.ts';
import { handoverTo, NO_FIGURES } from '../task/messages.ts';
import { describeEvacuation, planEvacuation } from './evacuation.ts';
import type { Relay } from './options.ts';

const pair = await makePair();
const scale = parseScale(printScale(1, ['relay-0.relay-pods.mail.svc']));

describe('whether a pod leaves, and what becomes of its queue', () => {
  const among = (podName: string) => ({ podName, port: 1 });
  test('it stays below the number of replicas, outside of a StatefulSet, and while nobody says otherwise', () => {
    assert.equal(planEvacuation(scale, among('relay-0'), pair), null);
    assert.equal(planEvacuation(scale, undefined, pair), null);
    assert.equal(planEvacuation(undefined, among('relay-1'), pair), null);
    assert.equal(planEvacuation(parseScale('{}'), among('relay-1'), pair), null);
  });
  test('its queue goes to the pods that stay, or to the next hops where none can prove itself', () => {
    const { handover } = planEvacuation(scale, among('relay-1'), pair) ?? {};
    assert.deepEqual(handover?.siblings, [{ host: 'relay-0.relay-pods.mail.svc', port: 1 }]);
    assert.match(planEvacuation(scale, among('relay-1'), null)?.why ?? '', /certificate/);
    assert.match(
      planEvacuation(parseScale(printScale(0, [])), among('relay-0'), pair)?.why ?? '',
      /no pod stays/,
    );
  });
  test('it tells what stands in the way', () => {
    const evacuation = planEvacuation(scale, among('relay-1'), pair);
    const queue = {
      ...NO_FIGURES,
      deferrals: [
        {
          destination: handoverTo('relay-0.relay-pods.mail.svc'),
          cause: 'connect' as const,
          message: 'away',
        },
      ],
    };
    assert.equal(
      describeEvacuation(evacuation, queue, false)?.message,
      'hand-over to relay-0.relay-pods.mail.svc: away',
    );
    assert.equal(describeEvacuation(evacuation, queue, true)?.state, 'Emptied');
  });
});

describe('two pods of one relay', { concurrency: false }, () => {
  const pods = ['127.0.0.2', '127.0.0.3'];
  let dirs: PodDirs[];
  let relays: Relay[];
  let port: number;
  let hop: number;

  beforeEach(async () => {
    [port, hop] = [await freePort(), await freePort()];
    const handoverPort = await freePort();
    dirs = pods.map(() => podDirs());
    for (const { policyDir, certificateDir } of dirs) {
      mount(certificateDir, { 'tls.crt': pair.cert, 'tls.key': pair.key });
      mountScale(policyDir, 2);
    }
    relays = await Promise.all(
      dirs.map((one, ordinal) => {
        const address = pods[ordinal] ?? '';
        const among = { podName: `relay-${ordinal}`, port: handoverPort };
        return startPodRelay(one, { address, adminAddress: address, among });
      }),
    );
  });
  afterEach(async () => {
    await Promise.all(relays.map((relay) => relay.stop()));
    for (const one of dirs) one.remove();
  });

  /** Writes the scale file as the operator does, beside the policy. */
  function mountScale(policyDir: string, replicas: number, siblings = pods.slice(0, replicas)): void {
    const policy = policyOf({ listeners: [listenerAt(port)] }, { smartHosts: [hopTo(hop)] });
    mount(policyDir, {
      [POLICY_FILE_NAME]: printPolicy(policy),
      [SCALE_FILE_NAME]: printScale(replicas, siblings),
    });
  }

  const scaleTo = (replicas: number) => {
    for (const { policyDir } of dirs) mountScale(policyDir, replicas);
  };

  async function send(pod: string | undefined, count: number): Promise<void> {
    const client = await SmtpClient.connect(port, pod);
    await client.reply();
    assert.deepEqual(await client.codes('EHLO a'), [250]);
    for (let sent = 0; sent < count; sent++) {
      const codes = await client.codes('MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.com>', 'DATA');
      assert.deepEqual(codes, [250, 250, 354]);
      assert.match(await client.command(`X-Test-Id: ${pod}-${sent}\r\n\r\nhello\r\n.`), /^250/);
    }
    await client.codes('QUIT');
    client.close();
  }

  /** Hand-over processes of both pods: the relays run in this process, and their tasks are its children. */
  function handoverProcesses(): number[] {
    const list = execFileSync('ps', ['-ww', '-o', 'pid=,args=', '--ppid', String(process.pid)], {
      encoding: 'utf8',
    });
    const lines = list.split('\n').filter((line) => /relay\/(giver|receiver)\/main\.ts/.test(line));
    return lines.map((line) => Number.parseInt(line, 10));
  }

  const evacuation = (ordinal: number) => relays[ordinal]?.status().evacuation;
  const depthOf = (ordinal: number): number => {
    const spool = new Spool(dirs[ordinal]?.stateDir ?? '');
    const { depth } = spool;
    void spool.close();
    return depth;
  };

  test('the one that leaves takes no mail, and its queue is the other one’s, which delivers it once', async () => {
    assert.equal(evacuation(1), null);
    await send(pods[1], 30);
    scaleTo(1);
    await eventually(() => evacuation(1)?.state === 'Emptied');
    assert.equal(relays[1]?.ready(), true, 'a StatefulSet would wait for it');
    assert.equal(evacuation(0), null);
    assert.deepEqual([depthOf(0), depthOf(1)], [30, 0]);
    await assert.rejects(SmtpClient.connect(port, pods[1]));
    const sink = await Sink.start({ port: hop });
    try {
      // A new policy makes the router try all waiting messages at once.
      for (const { policyDir } of dirs) {
        const policy = policyOf(
          { listeners: [listenerAt(port)] },
          { smartHosts: [hopTo(hop, { weight: 1 })] },
        );
        mount(policyDir, {
          [POLICY_FILE_NAME]: printPolicy(policy),
          [SCALE_FILE_NAME]: printScale(1, pods.slice(0, 1)),
        });
      }
      await until('30 messages', () => sink.arrived.length >= 30);
      await eventually(() => depthOf(0) === 0);
      assert.equal(new Set(sink.arrived.map(({ id }) => id)).size, 30);
      assert.equal(sink.arrived.length, 30);
    } finally {
      await sink.down();
    }
  });

  test('both ends killed in the middle, nothing is lost, and what arrived is known', async () => {
    await send(pods[1], 150);
    scaleTo(1);
    await eventually(() => depthOf(0) > 5);
    const killed = handoverProcesses();
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    assert.equal(killed.length, 2);
    await eventually(() => evacuation(1)?.state === 'Emptied');
    assert.deepEqual([depthOf(0), depthOf(1)], [150, 0]);
    // The router knows all messages, also those that the killed process had not reported.
    await eventually(() => relays[0]?.status().queue.depth === 150);
  });

  test('wanted again before it is empty, it serves again with what it still has', async () => {
    await send(pods[1], 3);
    // No sibling listens at these addresses.
    for (const { policyDir } of dirs) mountScale(policyDir, 1, ['127.0.0.4']);
    await eventually(() => evacuation(1)?.message != null);
    assert.equal(evacuation(1)?.state, 'HandingOver');
    scaleTo(2);
    await eventually(() => relays[1]?.ready() === true && evacuation(1) === null);
    assert.equal(depthOf(1), 3);
    await send(pods[1], 1);
    assert.equal(depthOf(1), 4);
  });

  test('where no pod stays, the queue is delivered, and the pod is empty after that', async () => {
    await send(pods[0], 3);
    scaleTo(0);
    await eventually(() => evacuation(0)?.state === 'Delivering');
    assert.match(evacuation(0)?.message ?? '', /no pod stays/);
    assert.equal(depthOf(0), 3);
    const sink = await Sink.start({ port: hop });
    try {
      await eventually(() => evacuation(0)?.state === 'Emptied');
      assert.equal(sink.arrived.length, 3);
    } finally {
      await sink.down();
    }
  });
});
