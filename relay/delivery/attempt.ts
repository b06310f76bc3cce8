/**
 * One attempt to deliver a message to a destination. The attempt tries the next hops in order, and a few addresses of
 * them at most, until one hop answers. All of this has one time budget. If no hop takes the message, the result is
 * `unreachable` with the failures of all hops.
 */
import { type Failure, joinFailures, makeFailure } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import { AttemptBudget, OVERDUE } from './budget.ts';
import type {
  AttemptResult,
  HopTls,
  Judgement,
  NextHop,
  Parcel,
  RemoteDestination,
  TlsReason,
  Unreachable,
} from './courier.ts';
import type { FailedHops } from './failedhops.ts';
import { ADDRESSES_AT_ONCE, pickAddresses, pickAnother } from './hopaddresses.ts';
import { orderHops } from './hoporder.ts';
import type { MailNames } from './names.ts';
import { applyWish, isOfDemand, isUnfit, judgeFor } from './requiretls.ts';
import { findAddresses, mxTerms, type Resolved, resolveHops } from './resolver.ts';
import {
  type DaneFinding,
  NO_FINDINGS,
  type StsFinding,
  type TlsDiscovery,
  type TlsFindings,
} from './tlsfindings.ts';
import { decideTls, type TlsPolicy } from './tlspolicy.ts';
import { newSession, refusedSession, type TlsSession } from './tlssession.ts';
import { isLoop, Tries } from './tries.ts';
import type { Verdict } from './verdict.ts';

/** How many hosts without an address one attempt passes over. A host that can never have one is not counted. */
const UNKNOWN_HOSTS_AT_ONCE = 10;

export type HopResult =
  | {
      readonly kind: 'answered';
      readonly verdicts: readonly Verdict[];
      readonly tls: HopTls | null;
      readonly policy?: TlsReason;
      readonly judgement?: Judgement;
      readonly tellsSender: boolean;
      readonly atOnce?: number | undefined;
      /** All recipients wait and the body was not sent yet, so another hop may take the message now. */
      readonly mayTryAnother: boolean;
    }
  | Unreachable;

/** A next hop, and the TLS policy of connections to it. */
export interface HopWay {
  readonly hop: NextHop;
  readonly policy: TlsPolicy;
  /** The key of the destination, whose connections have a limit. Absent: the hop stands for itself. */
  readonly destination?: string;
}

/** The part that speaks to one hop (smtpclient.ts). */
export interface HopClient {
  /** Sends over an idle connection to the hop. Undefined if there is no usable idle connection. */
  resume(way: HopWay, parcel: Parcel, budget: AttemptBudget): Promise<HopResult | undefined>;
  /** Sends over a new connection to one address of the hop. */
  deliver(way: HopWay, address: string, parcel: Parcel, budget: AttemptBudget): Promise<HopResult>;
}

export interface AttemptDeps {
  readonly client: HopClient;
  readonly policy: Policy;
  readonly random: () => number;
  readonly failedHops: FailedHops;
  readonly discovery: TlsDiscovery;
  readonly names: MailNames;
  /** Called with each session that reports to domains tell of. Absent: nobody reports. */
  readonly onSession?: ((session: TlsSession) => void) | undefined;
}

export async function attempt(
  destination: RemoteDestination,
  parcel: Parcel,
  deps: AttemptDeps,
): Promise<AttemptResult> {
  const budget = new AttemptBudget();
  try {
    const sts = findSts(destination, deps.discovery, budget);
    const resolved = await budget.within(findHops(destination, deps));
    if (resolved?.kind === 'hops') {
      const hops = deps.failedHops.order(orderHops(resolved.hops, deps.random));
      return await new Attempt(parcel, deps, { budget, sts, destination: destination.key }).tryHops(hops);
    }
    const late = makeFailure({
      cause: 'dns',
      status: '4.4.3',
      text: 'The name server does not answer in time',
    });
    return withoutHops(destination, parcel, resolved?.failure ?? late);
  } finally {
    budget.close();
  }
}

interface AttemptTerms {
  readonly budget: AttemptBudget;
  readonly sts: StsFinding | Promise<StsFinding>;
  readonly destination: string;
}

/**
 * Tries one hop after the other (RFC 5321 section 5.1). The attempt reports a deferral only if no later hop gives a
 * better result.
 */
class Attempt {
  readonly #parcel: Parcel;
  readonly #deps: AttemptDeps;
  readonly #budget: AttemptBudget;
  readonly #sts: StsFinding | Promise<StsFinding>;
  readonly #destination: string;
  readonly #tries = new Tries();
  #hadSession = false;
  readonly #refused: string[] = [];
  #atOnce: number | undefined;
  #deferral: AttemptResult | undefined;
  #left = ADDRESSES_AT_ONCE;
  #unknownLeft = UNKNOWN_HOSTS_AT_ONCE;
  /** False if the sender wants what the domain publishes not to count: reports to the domain do not tell of it. */
  #isHeldToPolicy = true;

  constructor(parcel: Parcel, deps: AttemptDeps, { budget, sts, destination }: AttemptTerms) {
    this.#parcel = parcel;
    this.#deps = deps;
    this.#budget = budget;
    this.#sts = sts;
    this.#destination = destination;
  }

  async tryHops(hops: readonly NextHop[]): Promise<AttemptResult> {
    for (const [index, hop] of hops.entries()) {
      if (this.#tries.isBehindUs(hop)) continue;
      if (this.#left === 0 || this.#unknownLeft === 0 || this.#budget.isOver) {
        this.#tries.leave(...hops.slice(index));
        break;
      }
      const answer = await this.#tryHop(hop, index === hops.length - 1);
      if (answer) return answer;
    }
    const heard = { refused: this.#refused, atOnce: this.#atOnce };
    if (this.#deferral) return { ...this.#deferral, ...heard };
    const failures = [...this.#tries.failures, ...(this.#budget.isOver ? [outOfTime()] : [])];
    const failure = this.#tries.findFinal() ?? joinFailures(failures);
    const isOfMessage = !this.#hadSession && isOfDemand(this.#parcel, failures);
    if (failure.permanent || isOfMessage)
      return { ...answerForAll(hops[0]?.host ?? '', this.#parcel, failure), isOfMessage };
    return { kind: 'unreachable', failure, hadSession: this.#hadSession, ...heard };
  }

  #findTls(hop: NextHop): TlsFindings | Promise<TlsFindings> {
    const dane = this.#deps.discovery.findDane(hop);
    const isOff = dane === NO_FINDINGS.dane && this.#sts === NO_FINDINGS.sts;
    return isOff ? NO_FINDINGS : this.#awaitTls(hop, dane);
  }

  async #awaitTls(hop: NextHop, asked: DaneFinding | Promise<DaneFinding>): Promise<TlsFindings> {
    // Both were asked at the same time, and neither rejects.
    const found = { dane: await asked, sts: await this.#sts };
    const findings = await applyWish(hop, found, this.#parcel);
    this.#isHeldToPolicy = findings === found;
    return findings;
  }

  async #tryHop(hop: NextHop, isLast: boolean): Promise<AttemptResult | undefined> {
    const { client, failedHops, names } = this.#deps;
    const findings = await this.#budget.within(this.#findTls(hop));
    if (findings === undefined) return this.#tries.leave(hop);
    const decision = decideTls(hop, findings, this.#parcel.requireTls);
    if (decision.kind === 'wait') {
      this.#tellSession(refusedSession(hop, findings, decision.failure));
      return this.#passOver(hop, decision.failure, isOfDomain(findings, decision.failure));
    }
    const way = { hop, policy: decision.policy, destination: this.#destination };
    const resumed = await client.resume(way, this.#parcel, this.#budget);
    if (resumed) return this.#answered(hop, resumed);
    const found = await this.#budget.within(findAddresses(hop, names));
    if (found === undefined) return this.#tries.leave(hop);
    if (found.kind === 'none') return this.#passOver(hop, found.failure);
    const addresses = failedHops.orderAddresses(hop, found.addresses);
    const picked = pickAddresses(addresses, { left: this.#left, isLast });
    const asked: string[] = [];
    let closed = 0;
    for (const address of picked) {
      if (this.#budget.isOver) break;
      this.#left -= 1;
      asked.push(address);
      const result = await client.deliver(way, address, this.#parcel, this.#budget);
      this.#tellSession(newSession(way, findings, address, result));
      const answer = this.#answered(hop, result, asked);
      if (answer || result.kind === 'answered') return answer;
      const { cause, noWay } = judgeFor(this.#parcel, result.failure);
      if (noWay || cause === 'requiretls') closed += 1;
      if (noWay && this.#parcel.requireTls) this.#left += pickAnother(picked, addresses);
      if (cause === 'requiretls') {
        // The next host shall have its turn in this attempt.
        this.#left += 1;
        // What one machine does not offer, the others do not offer either. TLS and a certificate are those of a machine.
        if (isUnfit(result.failure)) return undefined;
      }
      // All addresses of this relay are this relay.
      if (isLoop(result.failure)) return undefined;
      // A second try with a refused login may lock the account.
      if (cause === 'login') break;
    }
    return asked.length < addresses.length && closed < picked.length ? this.#tries.leave(hop) : undefined;
  }

  #tellSession(session: TlsSession | undefined): void {
    if (session && this.#isHeldToPolicy && !this.#parcel.isTlsReport) this.#deps.onSession?.(session);
  }

  /** Undefined if another hop may still give a better result. */
  #answered(hop: NextHop, result: HopResult, asked: readonly string[] = []): AttemptResult | undefined {
    if (result.kind === 'unreachable') {
      this.#hadSession ||= result.hadSession;
      this.#refused.push(...(result.refused ?? []));
      this.#atOnce = result.atOnce ?? this.#atOnce;
      return this.#fail(hop, result.failure, asked);
    }
    this.#deps.failedHops.answered(hop);
    const { mayTryAnother, ...rest } = result;
    const told = { passedOver: this.#tries.failures, refused: this.#refused };
    const answer = { ...rest, hop: `${hop.host}:${hop.port}`, ...told };
    if (!mayTryAnother) return answer;
    this.#deferral ??= answer;
    return undefined;
  }

  /**
   * No connection to this hop is made. Another host may have an address, or a TLS policy that can be met. A finding about
   * the domain says nothing about its hosts, which other domains share.
   */
  #passOver(hop: NextHop, failure: Failure, isOfDomain = false): undefined {
    const judged = judgeFor(this.#parcel, failure);
    if (!judged.permanent) this.#unknownLeft -= 1;
    if (!isOfDomain) return this.#fail(hop, failure, []);
    this.#tries.fail(hop, judged);
  }

  /**
   * A hop that is unfit for this message may be right for the next one. An MX host that is this relay stays in its place:
   * it keeps the mail from those behind it.
   */
  #fail(hop: NextHop, failure: Failure, asked: readonly string[]): undefined {
    const judged = judgeFor(this.#parcel, failure);
    this.#tries.fail(hop, judged);
    const staysInPlace = isUnfit(judged) || (isLoop(judged) && hop.mxOf !== undefined);
    if (!staysInPlace) this.#deps.failedHops.failed(hop, judged, asked);
  }
}

/**
 * Begins together with the look-up of the MX, because both may take long, and ends with the attempt at the latest. Only MX
 * hosts have policies of MTA-STS.
 */
function findSts(
  destination: RemoteDestination,
  discovery: TlsDiscovery,
  budget: AttemptBudget,
): StsFinding | Promise<StsFinding> {
  return destination.kind === 'mx'
    ? discovery.findSts(destination.domain, () => budget.closed)
    : NO_FINDINGS.sts;
}

/** Nobody knows yet what the domain wants: this is found before any host is looked at. */
function isOfDomain({ sts }: TlsFindings, failure: Failure): boolean {
  return sts.kind === 'unasked' && sts.failure === failure;
}

function outOfTime(): Failure {
  return makeFailure({ cause: 'connect', status: '4.4.1', text: OVERDUE });
}

function withoutHops(destination: RemoteDestination, parcel: Parcel, failure: Failure): AttemptResult {
  if (!failure.permanent) return { kind: 'unreachable', failure, hadSession: false };
  return answerForAll(destination.name, parcel, failure);
}

function answerForAll(hop: string, { to }: Parcel, failure: Failure): AttemptResult & { kind: 'answered' } {
  const verdicts = to.map((): Verdict => ({ kind: 'failed', failure }));
  return { kind: 'answered', hop, verdicts, tls: null, tellsSender: false, passedOver: [] };
}

export function findHops(
  destination: RemoteDestination,
  { policy: { hostname, outbound }, names }: Pick<AttemptDeps, 'policy' | 'names'>,
): Resolved | Promise<Resolved> {
  if (destination.kind === 'hops') return { kind: 'hops', source: 'manifest', hops: destination.hops };
  return resolveHops(destination.domain, mxTerms(destination, outbound), hostname, names);
}
