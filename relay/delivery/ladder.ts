/**
 * The way of a message to its next hops, step by step, without sending it: route, MX, TLSA records, MTA-STS policy, the
 * TLS level that results, and what each failure leads to. On request a connection to each hop is made, up to the
 * handshake. The parts are those of an attempt (attempt.ts). A login is never tried, because a wrong one may lock an
 * account.
 */
import type { Failure } from '#crds/failure.ts';
import type { Policy, Provider } from '#crds/policyfile.ts';
import { requiresTls } from '#crds/tlslevel.ts';
import type { Materials } from '../task/materials.ts';
import type { HopWay } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import type { Destination, NextHop } from './courier.ts';
import { Discovery } from './discovery.ts';
import { orderHops } from './hoporder.ts';
import { compileProviders } from './providers.ts';
import { findAddresses, mxTerms, resolveHops } from './resolver.ts';
import { compileRoutes } from './route.ts';
import { type Probed, SmtpClient } from './smtpclient.ts';
import { type DaneFinding, NO_FINDINGS, type StsFinding } from './tlsfindings.ts';
import { decideTls, type TlsDecision, type TlsPolicy } from './tlspolicy.ts';

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
  /** In the order in which they are tried, ten at most. */
  readonly hosts: readonly HostStep[];
  /** How many more hosts there are. */
  readonly moreHosts: number;
}

/** local: the mail ends at this relay. manifest: the hosts are those of the spec. */
type MxStep =
  | { readonly kind: 'local' }
  | { readonly kind: 'manifest' }
  | { readonly kind: 'found'; readonly domain: string; readonly isSigned: boolean }
  | { readonly kind: 'failed'; readonly domain: string; readonly failure: Failure };

export interface HostStep {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly dane: DaneFinding;
  readonly decision: TlsDecision;
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
}

export async function findLadder(policy: Policy, materials: Materials, question: Question): Promise<Ladder> {
  const destination = compileRoutes(policy)(question.from, question.to);
  const silent = { log: () => undefined, count: () => undefined, stateDir: null };
  const discovery = new Discovery(policy, materials, silent);
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
    return { rule: destination.rule, mx, ...provider, sts, hosts, moreHosts };
  } finally {
    client.close();
    await discovery.close();
  }
}

async function findMx(
  destination: Destination,
  { hostname, outbound }: Policy,
  { names }: Discovery,
): Promise<{ mx: MxStep; hops: readonly NextHop[] }> {
  if (destination.kind === 'local') return { mx: { kind: 'local' }, hops: [] };
  // Nothing is drawn by lot here: of equal hosts the first of the list is shown first.
  if (destination.kind === 'hops')
    return { mx: { kind: 'manifest' }, hops: orderHops(destination.hops, () => 0) };
  const { domain } = destination;
  const resolved = await resolveHops(domain, mxTerms(destination, outbound), hostname, names);
  if (resolved.kind === 'none')
    return { mx: { kind: 'failed', domain, failure: resolved.failure }, hops: [] };
  const isSigned = resolved.hops.some(({ isMxSigned }) => isMxSigned === true);
  return { mx: { kind: 'found', domain, isSigned }, hops: orderHops(resolved.hops, () => 0) };
}

async function findSts(
  destination: Destination,
  { outbound }: Policy,
  discovery: Discovery,
): Promise<Ladder['sts']> {
  const isAsked = destination.kind === 'mx' && outbound.discover.includes('MTASTS');
  return isAsked ? discovery.findSts(destination.domain) : { kind: 'off' };
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
  const { policy } = decision;
  const failures = listFailures(policy);
  if (!client) return { ...step, failures };
  return { ...step, failures, connection: await probe({ hop, policy }, client, discovery) };
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
async function probe({ hop, policy }: HopWay, client: SmtpClient, { names }: Discovery): Promise<Probed> {
  const budget = new AttemptBudget(PATIENCE_MS);
  try {
    const found = await findAddresses(hop, names);
    if (found.kind === 'none') return { kind: 'failed', address: null, failure: found.failure };
    const way = { hop: { ...hop, credentialsSecret: null }, policy };
    let last: Probed | undefined;
    for (const address of found.addresses.slice(0, ADDRESSES)) {
      last = await client.probe(way, address, budget);
      if (last.kind === 'session') return last;
    }
    return last as Probed;
  } finally {
    budget.close();
  }
}
