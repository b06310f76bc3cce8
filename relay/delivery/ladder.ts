/**
 * The way of a message to its next hops, step by step, without sending it: route, MX, TLSA records, MTA-STS policy, the
 * TLS level that results, the addresses, and what each failure leads to. On request a connection to each hop is made, up
 * to the handshake. The parts are those of an attempt (attempt.ts). A login is never tried, because a wrong one may lock
 * an account.
 */
import { type Failure, joinFailures } from '#crds/failure.ts';
import type { Policy, Provider } from '#crds/policyfile.ts';
import { requiresTls } from '#crds/tlslevel.ts';
import type { Materials } from '../task/materials.ts';
import { findHops, type HopWay } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import type { Destination, NextHop } from './courier.ts';
import { Discovery } from './discovery.ts';
import { orderHops } from './hoporder.ts';
import { compileProviders } from './providers.ts';
import { type Addresses, findAddresses, type Resolved } from './resolver.ts';
import { compileRoutes } from './route.ts';
import { type Probed, SmtpClient } from './smtpclient.ts';
import { type DaneFinding, NO_FINDINGS, type StsFinding } from './tlsfindings.ts';
import { decideTls, type TlsDecision, type TlsPolicy } from './tlspolicy.ts';
import { Tries } from './tries.ts';

export { MX_HOSTS } from './hopsecrets.ts';

/** In milliseconds. A person waits for the answer. */
const PATIENCE_MS = 60_000;
const HOSTS = 10;
const ADDRESSES = 2;

export interface Ladder {
  /** The part of the spec that decides. */
  readonly rule: string;
  readonly mx: MxStep;
  /** The provider whose limits the destination shares. null: none. Absent: the policy has no provider. */
  readonly provider?: Provider | null;
  /** off: it is not looked up for this destination. */
  readonly sts: StsFinding | { readonly kind: 'off' };
  /** False: the name server could not say whether a policy is published. That counts as none. */
  readonly isStsRecordKnown: boolean;
  /** False: policies that a running relay holds are not known here. They count also where nothing is published. */
  readonly knowsHeldPolicies: boolean;
  /** In the order in which they are tried, ten at most. */
  readonly hosts: readonly HostStep[];
  /** How many more hosts there are. */
  readonly moreHosts: number;
  /** Why no host can be had now: the mail waits, or is returned. null: one can, or nobody knows. */
  readonly end: Failure | null;
}

/** local: the mail ends at this relay. manifest: the hosts are those of the spec. */
type MxStep =
  | { readonly kind: 'local' }
  | { readonly kind: 'manifest' }
  | { readonly kind: 'found'; readonly domain: string; readonly isSigned: boolean }
  /** Without MX records the domain itself is the host (RFC 5321 section 5.1). */
  | { readonly kind: 'implicit'; readonly domain: string; readonly isSigned: boolean }
  | { readonly kind: 'literal'; readonly domain: string }
  | { readonly kind: 'failed'; readonly domain: string; readonly failure: Failure };

export interface HostStep {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly dane: DaneFinding;
  readonly decision: TlsDecision;
  /** Absent if the decision is to make no connection. */
  readonly addresses?: Addresses;
  /** What a failure leads to. Absent if no connection is made. */
  readonly failures?: Failures;
  /** Absent if nobody asked for a connection, or the decision is to make none. */
  readonly connection?: Probed;
}

/** nextHost: another host is tried, and without one the mail waits. */
type Consequence = 'cannot happen' | 'plain text' | 'not checked' | 'nextHost';

interface Failures {
  readonly withoutStarttls: Consequence;
  readonly brokenHandshake: Consequence;
  readonly unprovenCertificate: Consequence;
}

interface Question {
  readonly from: string;
  readonly to: string;
  readonly connects: boolean;
  /** Of a relay here, whose policies of MTA-STS count. null: there is none. */
  readonly stateDir: string | null;
}

export async function findLadder(policy: Policy, materials: Materials, question: Question): Promise<Ladder> {
  const destination = compileRoutes(policy)(question.from, question.to);
  let isStsRecordKnown = true;
  let knowsHeldPolicies = question.stateDir !== null;
  const discovery = new Discovery(policy, materials, {
    log: (event) => {
      if (event === 'not_kept') knowsHeldPolicies = false;
    },
    count: (_counter, label) => {
      if (label === 'dns') isStsRecordKnown = false;
    },
    stateDir: question.stateDir,
    isReadOnly: true,
  });
  const client = new SmtpClient(policy, materials, { session: () => undefined, follows: () => false });
  try {
    const [{ mx, hops }, sts] = await Promise.all([
      findMx(destination, policy, discovery),
      findSts(destination, policy, discovery),
    ]);
    const tried = hops.slice(0, HOSTS);
    const facts = {
      discovery,
      client: question.connects ? client : null,
      sts: sts.kind === 'off' ? NO_FINDINGS.sts : sts,
    };
    const hosts = await Promise.all(tried.map((hop) => findHost(hop, facts)));
    const shared = compileProviders(policy.outbound.providers);
    const provider = shared ? { provider: shared.findForAll(hops) ?? null } : {};
    const moreHosts = hops.length - tried.length;
    const end = moreHosts === 0 ? findEnd(hops, hosts) : null;
    const known = { isStsRecordKnown, knowsHeldPolicies };
    return { rule: destination.rule, mx, ...provider, sts, ...known, hosts, moreHosts, end };
  } finally {
    client.close();
    await discovery.close();
  }
}

async function findMx(
  destination: Destination,
  policy: Policy,
  { names }: Discovery,
): Promise<{ mx: MxStep; hops: readonly NextHop[] }> {
  if (destination.kind === 'local') return { mx: { kind: 'local' }, hops: [] };
  const resolved = await findHops(destination, { policy, names });
  if (resolved.kind === 'none')
    return { mx: { kind: 'failed', domain: destination.name, failure: resolved.failure }, hops: [] };
  // Nothing is drawn by lot here: of equal hosts the first of the list is shown first.
  return { mx: describeSource(resolved, destination.name), hops: orderHops(resolved.hops, () => 0) };
}

function describeSource({ source, hops }: Resolved & { kind: 'hops' }, domain: string): MxStep {
  const isSigned = hops.some(({ isMxSigned }) => isMxSigned === true);
  switch (source) {
    case 'MX':
      return { kind: 'found', domain, isSigned };
    case 'domain':
      return { kind: 'implicit', domain, isSigned };
    case 'literal':
      return { kind: 'literal', domain };
    case 'manifest':
      return { kind: 'manifest' };
  }
}

/** As an attempt ends. null: a host can be asked, or there is none. */
function findEnd(hops: readonly NextHop[], hosts: readonly HostStep[]): Failure | null {
  const tries = new Tries();
  for (const [index, hop] of hops.entries()) {
    const failure = failureOf(hosts[index]);
    if (!failure) return null;
    tries.fail(hop, failure);
  }
  return hops.length === 0 ? null : (tries.findFinal() ?? joinFailures(tries.failures));
}

/** Why no connection to the host is made. */
function failureOf(step: HostStep | undefined): Failure | undefined {
  if (step?.decision.kind === 'wait') return step.decision.failure;
  return step?.addresses?.kind === 'none' ? step.addresses.failure : undefined;
}

async function findSts(
  destination: Destination,
  { outbound }: Policy,
  discovery: Discovery,
): Promise<Ladder['sts']> {
  const isDomain = destination.kind === 'mx' && !destination.domain.startsWith('[');
  return isDomain && outbound.discover.includes('MTASTS')
    ? discovery.findSts(destination.domain)
    : { kind: 'off' };
}

interface HostFacts {
  readonly discovery: Discovery;
  /** null: no connection is made. */
  readonly client: SmtpClient | null;
  readonly sts: StsFinding;
}

async function findHost(hop: NextHop, { discovery, client, sts }: HostFacts): Promise<HostStep> {
  const dane = await discovery.findDane(hop);
  const decision = decideTls(hop, { dane, sts });
  const { host, port, priority } = hop;
  const step = { host, port, priority, dane, decision };
  if (decision.kind === 'wait') return step;
  const addresses = await findAddresses(hop, discovery.names);
  if (addresses.kind === 'none') return { ...step, addresses };
  const { policy } = decision;
  const failures = listFailures(policy);
  if (!client) return { ...step, addresses, failures };
  const connection = await probe({ hop, policy }, addresses.addresses, client);
  return { ...step, addresses, failures, connection };
}

/** What the code that connects does by this policy. */
function listFailures({ level, mode, trust, mayFallBack }: TlsPolicy): Failures {
  if (mode === 'none')
    return {
      withoutStarttls: 'not checked',
      brokenHandshake: 'cannot happen',
      unprovenCertificate: 'cannot happen',
    };
  return {
    withoutStarttls: mode === 'implicit' ? 'cannot happen' : requiresTls(level) ? 'nextHost' : 'plain text',
    brokenHandshake: mayFallBack ? 'plain text' : 'nextHost',
    unprovenCertificate: trust.kind === 'none' ? 'not checked' : 'nextHost',
  };
}

/** Asks one address after the other, until one of them gives a session. */
async function probe(
  { hop, policy }: HopWay,
  addresses: readonly string[],
  client: SmtpClient,
): Promise<Probed> {
  const budget = new AttemptBudget(PATIENCE_MS);
  try {
    const way = { hop: { ...hop, credentialsSecret: null }, policy };
    let last: Probed | undefined;
    for (const address of addresses.slice(0, ADDRESSES)) {
      last = await client.probe(way, address, budget);
      if (last.kind === 'session') return last;
    }
    return last as Probed;
  } finally {
    budget.close();
  }
}
