/**
 * Remembers next hops that failed a moment ago, and which of their addresses were tried. For a while they are tried
 * after all other hops, so a dead hop costs its time-out once and not for every message. If no hop of a destination
 * answers, the hop with the oldest failure is tried first, so every hop has its turn. Hops that refuse our login are
 * remembered until they accept it. This file has no clock of its own.
 */

import { describeFailure, type Failure } from '#crds/failure.ts';
import type { HopNotes } from '../task/messages.ts';
import { dropOldest } from '../task/oldest.ts';
import type { NextHop, Refusal } from './courier.ts';
import { isOfPolicy } from './tlscauses.ts';

const TRIED_LAST_MS = 60_000;
/** MX records can name very many hosts. Above this number the oldest entries are dropped. */
const REMEMBERED = 1_000;
/** How many addresses of one hop are kept: as many as one look-up returns (resolver.ts). */
const REMEMBERED_ADDRESSES = 64;

/** Refusals of deliveries that were under way together count once: the first pause is longer. */
const SAME_REFUSAL_MS = 30_000;

interface Failed extends Refusal {
  readonly hop: NextHop;
  /** The address with the oldest try comes first. */
  readonly addresses: readonly string[];
  /** Known from the process before, and not tried since. */
  readonly isRestored?: true;
}

export class FailedHops {
  readonly #clock: () => number;
  readonly #onRefusals: () => void;
  /** Sorted by the time of the last failure, oldest first. */
  readonly #failed = new Map<string, Failed>();
  /** The time of each hop's last answer, oldest first. */
  readonly #answered = new Map<string, number>();

  /** `onRefusals`: another hop refuses our login now, or again, or one does so no more. */
  constructor(clock: () => number, onRefusals: () => void = () => undefined) {
    this.#clock = clock;
    this.#onRefusals = onRefusals;
  }

  /** A fault of this relay says nothing about the hop. */
  failed(hop: NextHop, failure: Failure, addresses: readonly string[]): void {
    if (failure.cause === 'local') return;
    const key = isOfPolicy(failure.cause) ? makePolicyKey(hop) : makeKey(hop);
    const before = this.#failed.get(key);
    this.#failed.delete(key);
    const others = before?.addresses.filter((address) => !addresses.includes(address)) ?? [];
    const tried = [...others, ...addresses].slice(-REMEMBERED_ADDRESSES);
    this.#failed.set(key, { hop, addresses: tried, ...countRefusal(failure, before, this.#clock()) });
    dropOldest(this.#failed, REMEMBERED);
    if (isRefusal(failure) || isRefusal(before?.failure)) this.#onRefusals();
  }

  /** An answer counts only against failures before it, so without any failure it is not remembered. */
  answered(hop: NextHop): void {
    if (this.#failed.size === 0) return;
    const key = makeKey(hop);
    const wasRefused = isRefusal(this.#failed.get(key)?.failure);
    for (const each of [key, makePolicyKey(hop)]) this.#failed.delete(each);
    if (wasRefused) this.#onRefusals();
    this.#answered.delete(key);
    this.#answered.set(key, this.#clock());
    dropOldest(this.#answered, REMEMBERED);
  }

  /** The reason for the failure may be gone, so these hops return to their normal place. */
  forgive(which: (hop: NextHop, failure: Failure) => boolean): void {
    const forgiven = [...this.#failed].filter(([, { hop, failure }]) => which(hop, failure));
    for (const [key] of forgiven) this.#failed.delete(key);
    if (forgiven.some(([, failed]) => isRefused(failed))) this.#onRefusals();
  }

  /** Takes over what the process before knew of this hop. */
  restore(hop: NextHop, refusal: Refusal): void {
    this.#failed.set(makeKey(hop), { hop, addresses: [], ...refusal, isRestored: true });
  }

  /**
   * Undefined unless all hops refused our login to the process before, and none was tried since. What this process is
   * told itself, the queue knows.
   */
  findRefusal(hops: readonly NextHop[]): Refusal | undefined {
    const refusals = hops
      .flatMap((hop) => this.#failed.get(makeKey(hop)) ?? [])
      .filter(({ isRestored }) => isRestored);
    const [last] = refusals.toSorted((one, other) => other.at - one.at);
    if (!last || refusals.length < hops.length) return undefined;
    return { ...last, refusals: Math.min(...refusals.map((one) => one.refusals)) };
  }

  /** Hops that refuse our login, by key. */
  get refused(): ReadonlyMap<string, Refusal & { readonly hop: NextHop }> {
    return new Map([...this.#failed].filter(([, failed]) => isRefused(failed)));
  }

  /** Keeps the order, but puts failed addresses last. Of these, the address with the oldest try comes first. */
  orderAddresses(hop: NextHop, known: readonly string[]): string[] {
    const tried = this.#find(hop)?.addresses ?? [];
    const rank = (address: string) => tried.indexOf(address);
    return known.toSorted((a, b) => rank(a) - rank(b));
  }

  /**
   * Keeps the order, but puts failed hops last. They stay last for a minute, and longer if no other hop of this list
   * has answered since then.
   */
  order(hops: readonly NextHop[]): readonly NextHop[] {
    if (this.#failed.size === 0) return hops;
    const now = this.#clock();
    const failedAt = (hop: NextHop) => this.#find(hop)?.at ?? Number.NEGATIVE_INFINITY;
    const lastAnswer = Math.max(
      ...hops.map((hop) => this.#answered.get(makeKey(hop)) ?? Number.NEGATIVE_INFINITY),
    );
    const isLast = (hop: NextHop) =>
      this.#find(hop) !== undefined && (failedAt(hop) > now - TRIED_LAST_MS || failedAt(hop) >= lastAnswer);
    const last = hops.filter(isLast).toSorted((a, b) => failedAt(a) - failedAt(b));
    return [...hops.filter((hop) => !isLast(hop)), ...last];
  }

  /** The last failure of the hop itself, or of its TLS for this domain. */
  #find(hop: NextHop): Failed | undefined {
    const [own, ofPolicy] = [this.#failed.get(makeKey(hop)), this.#failed.get(makePolicyKey(hop))];
    if (!own || !ofPolicy) return own ?? ofPolicy;
    return own.at > ofPolicy.at ? own : ofPolicy;
  }

  /** Hops that refuse our login. */
  refusals(): HopNotes {
    return [...this.#failed.values()].filter(isRefused).map(({ hop, failure }) => ({
      destination: `${hop.host}:${hop.port}`,
      message: describeFailure(failure),
    }));
  }
}

function countRefusal(failure: Failure, before: Failed | undefined, at: number): Refusal {
  if (!isRefusal(failure) || !before || !isRefused(before)) return { failure, refusals: 1, since: at, at };
  const isSame = at - before.at < SAME_REFUSAL_MS;
  return { failure, refusals: before.refusals + (isSame ? 0 : 1), since: before.since, at };
}

function isRefused({ failure }: Failed): boolean {
  return isRefusal(failure);
}

function isRefusal(failure: Failure | undefined): boolean {
  return failure?.cause === 'login';
}

/** A hop may fail from one address of ours, through one proxy or with one header, and not with another. */
export function makeKey({
  host,
  port,
  credentialsSecret,
  sourceAddresses,
  socksProxy,
  proxyProtocol,
}: NextHop): string {
  const to = `${host}:${port} ${credentialsSecret ?? ''} ${proxyProtocol ?? ''}`;
  if (sourceAddresses.length > 0) return `${to} from ${sourceAddresses.join()}`;
  return socksProxy ? `${to} through ${socksProxy.host}:${socksProxy.port}` : to;
}

function makePolicyKey(hop: NextHop): string {
  return `${makeKey(hop)} for ${hop.mxOf ?? ''} at ${hop.tlsLevel}`;
}
