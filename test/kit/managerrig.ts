/**
 * A queue with the real routes of delivery over a real spool, and hops that answer as the test says. Each test of a file that
 * imports this one has a spool of its own.
 */
import { afterEach, beforeEach } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { HopResult } from '#relay/delivery/attempt.ts';
import type { NextHop, Parcel } from '#relay/delivery/courier.ts';
import { Delivery, type DeliveryClient } from '#relay/delivery/delivery.ts';
import { SYSTEM_NAMES } from '#relay/delivery/names.ts';
import { NO_DISCOVERY } from '#relay/delivery/tlsfindings.ts';
import { judgeReply } from '#relay/delivery/verdict.ts';
import { QueueManager } from '#relay/queue/manager.ts';
import { newQueueId } from '#relay/spool/record.ts';
import { Spool } from '#relay/spool/spool.ts';
import { hopTo, type PodDirs, podDirs, policyOf, routeTo } from './relayrig.ts';

let dirs: PodDirs;
let runners: QueueManager[];
/** These are of the test that runs. */
export let spool: Spool;
export let events: { event: string; fields: Record<string, unknown> }[];

beforeEach(() => {
  dirs = podDirs();
  spool = new Spool(dirs.stateDir);
  runners = [];
  events = [];
});
afterEach(async () => {
  for (const manager of runners) await manager.drain(0);
  await spool.close();
  dirs.remove();
});

const outbound: Partial<Policy['outbound']> = {
  smartHosts: [hopTo(1, { host: 'first' }), hopTo(2, { host: 'second' })],
  routes: [routeTo(['dead.example'], [hopTo(3, { host: 'dead' })])],
};

type Answer = (hop: NextHop, parcel: Parcel) => HopResult | Promise<HopResult>;

export function runnerWith(answer: Answer, clock: () => number = Date.now): QueueManager {
  const log = (event: string, fields = {}) => events.push({ event, fields });
  const signer = async () => ({ kind: 'header', header: null }) as const;
  const policy = policyOf({}, outbound);
  const client: DeliveryClient = {
    resume: async ({ hop }, parcel) => answer(hop, parcel),
    deliver: async ({ hop }, _address, parcel) => answer(hop, parcel),
    useMaterials: () => () => true,
    contentsFor: () => ({}),
    secretsHeldBack: [],
    connections: [],
    close: () => undefined,
  };
  const courier = new Delivery({
    policy,
    client,
    discovery: NO_DISCOVERY,
    names: SYSTEM_NAMES,
    clock,
    wall: clock,
    random: () => 0.5,
  });
  const manager = new QueueManager({
    policy,
    spool,
    courier,
    signer,
    log,
    clock,
    wall: clock,
    random: () => 0.5,
  });
  runners.push(manager);
  return manager;
}

export const enter = (...to: string[]) => enterFrom('', ...to);

export const enterFrom = (from: string, ...to: string[]) => enterWith({ from }, ...to);

export async function enterWith(
  { from = '', ...more }: { from?: string; requireTls?: boolean },
  ...to: string[]
): Promise<string> {
  const id = newQueueId(Date.now());
  const recipients = to.map((address) => ({ address, state: 'queued' as const }));
  const envelope = { from, recipients, receivedAt: 1, smtpUtf8: false, eightBit: false, ...more };
  await spool.enter(id, envelope, { kind: 'inline', bytes: Buffer.from('body') });
  return id;
}

export const all = (parcel: Parcel, code: number): HopResult => {
  const verdict = judgeReply(code, `${code} no`);
  return {
    kind: 'answered',
    verdicts: parcel.to.map(() => verdict),
    tls: null,
    tellsSender: false,
    mayTryAnother: false,
  };
};
export const unreachable: HopResult = {
  kind: 'unreachable',
  failure: makeFailure({ cause: 'connect', status: '4.4.1', text: 'nobody there' }),
  hadSession: false,
};
export const loginRefused: HopResult = {
  ...unreachable,
  failure: makeFailure({ cause: 'login', status: '4.7.8', text: 'refuses our login' }),
};
export const queuedIn = (id: string) => {
  const read = spool.read(id);
  return read.kind === 'message'
    ? read.record.recipients.map(({ address, state }) => `${address} ${state}`)
    : read.kind;
};
