/** Pods that hand a queue over: one that gives, others that receive. All that a test opened ends with the test. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach } from 'node:test';
import { Giver } from '#relay/handover/giver.ts';
import { Receiver } from '#relay/handover/receiver.ts';
import { Sibling } from '#relay/handover/sibling.ts';
import { keepForRouter } from '#relay/mtasts/handover.ts';
import type { Log } from '#relay/observe/log.ts';
import { type Envelope, newQueueId, type QueueRecord } from '#relay/spool/record.ts';
import { Spool } from '#relay/spool/spool.ts';
import { monotonic } from '#relay/task/clock.ts';
import type { PairText } from '#relay/task/messages.ts';
import { makePair } from '#test/kit/ca.ts';

export const [pair, otherPair] = [await makePair(), await makePair()];

const quiet: Log = () => undefined;
export const LARGE = 700 * 1024;

export const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

export function openSpool(onSync?: () => void): Spool & { readonly stateDir: string } {
  const stateDir = mkdtempSync(join(tmpdir(), 'mailrelay-handover-'));
  const spool = Object.assign(new Spool(stateDir, onSync), { stateDir });
  ends.push(async () => {
    await spool.close();
    rmSync(stateDir, { recursive: true });
  });
  return spool;
}

const envelope = (changes: Partial<Envelope> = {}): Envelope => ({
  from: 'a@client.example',
  recipients: [
    { address: 'b@example.com', state: 'queued', notify: ['FAILURE'] },
    { address: 'c@example.com', state: 'held', reason: '550 no' },
  ],
  receivedAt: 1_700_000_000_000,
  smtpUtf8: false,
  eightBit: true,
  envid: 'one',
  ...changes,
});

export async function enter(spool: Spool, body: Buffer, changes: Partial<Envelope> = {}): Promise<string> {
  const id = newQueueId(Date.now());
  const writer = spool.bodyWriter(id);
  await writer.write(body);
  await spool.enter(id, envelope(changes), await writer.seal());
  return id;
}

export interface ReceivingPod {
  readonly port: number;
  readonly spool: ReturnType<typeof openSpool>;
  readonly receiver: Receiver;
  readonly entered: string[];
}

/** A pod that stays. */
export async function openPod(served: PairText = pair, port = 0, spool = openSpool()): Promise<ReceivingPod> {
  const entered: string[] = [];
  const receiver = new Receiver({
    spool,
    pair: served,
    log: quiet,
    onEntered: (id) => entered.push(id),
    keepPolicies: (text) => keepForRouter(spool.stateDir, text),
  });
  const server: Server = createServer({ pauseOnConnect: true }, (socket: Socket) => receiver.receive(socket));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  ends.push(async () => {
    server.close();
    await receiver.drain();
  });
  return { port: (server.address() as AddressInfo).port, spool, receiver, entered };
}

/** A pod in evacuation, with its queue. */
export function startGiver(
  spool: Spool,
  ports: readonly number[],
  shown: PairText = pair,
  policies: string | null = null,
): Giver {
  const siblings = ports.map((port) => new Sibling({ host: '127.0.0.1', port }, shown, monotonic));
  const readPolicies = () => policies;
  const giver = new Giver({ spool, siblings, log: quiet, clock: monotonic, readPolicies });
  ends.push(() => giver.drain());
  giver.start();
  return giver;
}

export async function readContent(spool: Spool, id: string): Promise<{ record: QueueRecord; body: Buffer }> {
  const taken = spool.load(id);
  assert.ok(taken.kind === 'message', JSON.stringify(taken));
  return { record: taken.record, body: await buffer(taken.open()) };
}
