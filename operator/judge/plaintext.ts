/**
 * The checks of clients that send in plain text: clients that Required refused, and clients that it would refuse. The
 * first count only while a session may have the policy Required, the others only while one may have Enabled. Pure.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import { type Check, is, reported } from './finding.ts';
import { coarse, counted, listed, quoted, verb } from './words.ts';

type Sessions = PodStatus['sessions'];
type Sender = Sessions['plaintext'][number];

const NAMED = 3;

export const plaintextClientsRefused: Check = (world) => {
  if (!mayHave(world.policy, 'Required')) return undefined;
  const sessions = reported(world).flatMap(({ report }) => report?.sessions ?? []);
  const count = largest(sessions.map(({ plaintextRefusedClients = 0 }) => plaintextRefusedClients));
  if (count === 0) return undefined;
  const senders = sessions.flatMap(({ plaintextRefused = [] }) => plaintextRefused);
  const text = `starttls: Required refused ${describe(count, senders)}, which sent in plain text before`;
  const [them, networks] = count === 1 ? ['it', 'its network'] : ['them', 'their networks'];
  return is(
    'False',
    'PlaintextClientsRefused',
    `${text}: let ${them} use STARTTLS, or give ${networks} starttls: Enabled in inbound.clientPolicies`,
  );
};

export const plaintextClientsSeen: Check = (world) => {
  if (!mayHave(world.policy, 'Enabled')) return undefined;
  const sessions = reported(world).flatMap(({ report }) => report?.sessions ?? []);
  const count = largest(sessions.map(({ plaintextClients }) => plaintextClients));
  if (count === 0) return undefined;
  const senders = sessions.flatMap(({ plaintext }) => plaintext);
  const text = `${describe(count, senders)} sent in plain text in the last seven days`;
  const cure = `let ${verb(count, 'it', 'them')} use STARTTLS before you set starttls: Required`;
  return is('True', 'PlaintextClientsSeen', `${text}: ${cure}`);
};

function mayHave(policy: Policy | null | undefined, starttls: 'Enabled' | 'Required'): boolean {
  if (!policy) return false;
  const { listeners, clientPolicies } = policy.inbound;
  const inClear = listeners.filter(({ implicitTLS }) => !implicitTLS);
  return inClear.length > 0 && [...inClear, ...clientPolicies].some((one) => one.starttls === starttls);
}

/** The largest count and not the sum, because one client may have connected to every pod. */
function largest(counts: readonly number[]): number {
  return coarse(Math.max(0, ...counts));
}

/** The latest senders, in an order that changes at most once an hour, because each new message is a write. */
function describe(count: number, senders: readonly Sender[]): string {
  const names = senders
    .toSorted((a, b) => compare(b.lastSeen, a.lastSeen) || compare(nameSender(a), nameSender(b)))
    .map(nameSender);
  const latest = listed([...new Set(names)].slice(0, NAMED));
  return `${counted(count, 'client')}${latest === '' ? '' : ` (${latest})`}`;
}

function nameSender({ network, helo }: Sender): string {
  return helo === '' ? network : `${network} as ${quoted(helo, 64)}`;
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
