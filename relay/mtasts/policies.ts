/**
 * What MTA-STS (RFC 8461) says of a domain, for one delivery. The TXT record is looked up each time; the policy is
 * fetched when the record has a new id, and again at intervals, whatever became of the record: who suppresses it must
 * not outlast the policy. While a cached policy is valid nothing weakens it: not a record that vanished, not a fetch that
 * fails. Without one, a domain whose policy cannot be had counts as a domain without a policy (section 5.1). The failure
 * is told, and so is a policy whose time ended because it could not be refreshed. Fetches at a time are bounded, and one
 * look-up serves all deliveries that ask for the domain meanwhile. The time of a fetch begins when it has its place, and
 * strangers whose hosts are slow make others wait and no more: a look-up that never had its turn is no absence of a policy.
 * A look-up that nobody waits for any more stands back: it waits for no place, and has its own only until another wants it.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Failure, makeFailure } from '#crds/failure.ts';
import type { Log } from '../observe/log.ts';
import { within } from '../task/within.ts';
import type { PolicyCache } from './cache.ts';
import { Claim, claimToTheEnd } from './claim.ts';
import { FailedFetches } from './failedfetches.ts';
import type { Fetched } from './fetch.ts';
import { type CachedPolicy, lifetimeMs } from './policiestext.ts';
import { readPolicyId } from './policyparser.ts';
import { Slots } from './slots.ts';
import { TimeLimits } from './timelimits.ts';

export type StsFinding =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'policy';
      readonly mode: 'enforce' | 'testing';
      readonly mxPatterns: readonly string[];
      readonly maxAgeSeconds: number;
    }
  /** The domain announces a policy that we cannot have. RFC 8461 treats this as no policy. */
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** Nobody was asked in time, or could be, by a fault of this relay. Whether there is a policy is unknown: the mail waits. */
  | { readonly kind: 'unasked'; readonly failure: Failure };

export interface StsDeps {
  /** The TXT records of a name; undefined if the look-up fails. Rejects where nobody could be asked. */
  readonly lookUpTxt: (name: string) => Promise<readonly string[][] | undefined>;
  readonly fetch: (domain: string, signal: AbortSignal) => Promise<Fetched>;
  readonly cache: PolicyCache;
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
  readonly log: Log;
  /**
   * Counts a fetch by its result: "fetched", or the cause of its failure; "dns" if the record cannot be looked up, "late" if
   * the time of the look-up was over before.
   */
  readonly count: (result: string) => void;
  /** Counts a policy in use that could not be refreshed before its time ended. */
  readonly countLapse: (mode: string) => void;
}

const NONE: StsFinding = { kind: 'none' };
/** For the record, a free slot and the fetch together, with the wait for a place at the name server. Half of an attempt. */
const LOOK_UP_MS = 5 * 60_000;
/** The same where a policy is held, which counts then. */
const HELD_LOOK_UP_MS = 30_000;
const FETCH_MS = 30_000;
const FETCHES_AT_A_TIME = 50;
/** The rest of the slots is for mail. */
const REFRESHES_AT_A_TIME = 10;
/** RFC 8461 section 10.2 proposes a day. */
const REFRESH_MS = 24 * 3_600_000;
const SWEEP_MS = 3_600_000;
/** The policy of a domain that got no mail for so long is not refreshed, and ends with its time. */
const UNUSED_MS = 30 * 24 * 3_600_000;
/** Of a policy host, in ASCII: the name becomes part of a URL. */
const DOMAIN = /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+$/;

interface LookUp {
  readonly claim: Claim;
  readonly answer: Promise<StsFinding>;
}

export class StsPolicies {
  readonly #deps: StsDeps;
  readonly #slots = new Slots(FETCHES_AT_A_TIME);
  readonly #asking = new Map<string, LookUp>();
  readonly #refreshing = new Map<string, Promise<unknown>>();
  #failed = new FailedFetches();
  readonly #sweep: NodeJS.Timeout;
  #sweeping: Promise<void> | undefined;
  readonly #limits = new TimeLimits();

  constructor(deps: StsDeps) {
    this.#deps = deps;
    this.#sweep = setInterval(() => void this.refreshAll(), SWEEP_MS).unref();
  }

  /** `domain` is in lower case and ASCII. `left` ends when the asker waits no more. Never rejects. */
  find(domain: string, left?: AbortSignal): Promise<StsFinding> {
    const asked = this.#asking.get(domain);
    const { claim, answer } = asked && !asked.claim.ended.aborted ? asked : this.#begin(domain);
    claim.join(left);
    return answer;
  }

  /** Refreshes the policies whose time has come, a few at a time: one that fails holds no other up. */
  refreshAll(): Promise<void> {
    this.#sweeping ??= this.#refreshDue().finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  /** A fetch that failed may succeed now, and so may one under way: its failure is for those who have asked before. */
  forgive(): void {
    this.#failed = new FailedFetches();
    this.#asking.clear();
  }

  /** Ends the look-ups under way. Resolves when the cache is on disk. */
  async close(): Promise<void> {
    clearInterval(this.#sweep);
    this.#limits.close();
    await this.#deps.cache.close();
  }

  async #refreshDue(): Promise<void> {
    const { cache, wall } = this.#deps;
    cache.takeIn(wall());
    const left = cache.domains.values();
    const refreshSome = async () => {
      for (const domain of left) {
        const cached = this.#held(domain);
        if (cached && isDue(cached, wall()) && isUsed(cached, wall())) await this.#refresh(domain, cached.id);
      }
    };
    await Promise.all(Array.from({ length: REFRESHES_AT_A_TIME }, refreshSome));
  }

  #begin(domain: string): LookUp {
    const claim = new Claim((left) => this.#slots.leave(left));
    const answer = this.#look(domain, claim).finally(() => {
      if (this.#asking.get(domain)?.claim === claim) this.#asking.delete(domain);
    });
    const begun = { claim, answer };
    this.#asking.set(domain, begun);
    return begun;
  }

  async #look(domain: string, claim: Claim): Promise<StsFinding> {
    if (!DOMAIN.test(domain)) return NONE;
    const { cache, wall, count } = this.#deps;
    cache.takeIn(wall());
    const ms = this.#held(domain) ? HELD_LOOK_UP_MS : LOOK_UP_MS;
    cache.use(domain, wall());
    const finding = this.#limits.run(ms, (signal) => this.#find(domain, claim, signal));
    const found = await finding.catch((error: Error) => this.#withoutMeans(domain, error));
    if (found) return found;
    if (!this.#limits.isClosed && !claim.ended.aborted) count('late');
    return this.#withoutAnswer(domain, makeUnasked(domain));
  }

  /** What keeps this relay from reading a record is no absence of a policy. */
  #withoutMeans(domain: string, { message }: Error): StsFinding {
    this.#deps.count('local');
    const text = `Cannot read the MTA-STS record of ${domain}: ${message}`;
    return this.#withoutAnswer(domain, makeFailure({ cause: 'local', status: '4.7.0', text }));
  }

  #withoutAnswer(domain: string, failure: Failure): StsFinding {
    const held = this.#held(domain);
    return held ? toFinding(held) : { kind: 'unasked', failure };
  }

  async #find(domain: string, claim: Claim, signal: AbortSignal): Promise<StsFinding | undefined> {
    const id = await this.#readId(domain);
    const cached = this.#held(domain);
    if (cached && (id === null || id === cached.id)) {
      if (isDue(cached, this.#deps.wall())) void this.#refresh(domain, cached.id);
      return toFinding(cached);
    }
    if (id === null) return NONE;
    const fetched = await this.#fetch({ domain, id }, claim, signal);
    if (fetched?.kind === 'policy') return toFinding(fetched.policy);
    if (cached) return toFinding(cached);
    return fetched && toFailed(fetched.failure);
  }

  /** The policy of the domain that still holds. One that was in use until its time ended is told. */
  #held(domain: string): CachedPolicy | undefined {
    const { cache, wall, log, countLapse } = this.#deps;
    const over = cache.dropOver(domain, wall());
    if (!over) return cache.get(domain, wall());
    if (over.mode !== 'none' && isUsed(over, wall())) {
      const { mode, fetchedAt } = over;
      log('sts_policy_lapsed', { domain, mode, fetchedAt: new Date(fetchedAt).toISOString() });
      countLapse(mode);
    }
    return undefined;
  }

  /** Without a look at the record (section 10.2): a new id is found with the next mail. */
  #refresh(domain: string, id: string): Promise<unknown> {
    const before = this.#refreshing.get(domain);
    if (before) return before;
    const refreshing = this.#limits
      .run(LOOK_UP_MS, (signal) => this.#fetch({ domain, id }, claimToTheEnd(), signal))
      .finally(() => this.#refreshing.delete(domain));
    this.#refreshing.set(domain, refreshing);
    return refreshing;
  }

  /**
   * null: the domain announces no policy, or the name server cannot say. The latter counts as none too, because names below
   * broken zones fail for ever, and who can suppress the record at the first contact is out of reach (section 10.2). Rejects
   * where no name server is reached, or the parser cannot be loaded.
   */
  async #readId(domain: string): Promise<string | null> {
    const records = await this.#deps.lookUpTxt(`_mta-sts.${domain}`);
    if (records === undefined && !this.#limits.isClosed) this.#deps.count('dns');
    return readPolicyId(domain, records ?? []);
  }

  /** Undefined if there was no slot before the signal ended, or if another had the slot. */
  async #fetch(
    { domain, id }: { readonly domain: string; readonly id: string },
    claim: Claim,
    signal: AbortSignal,
  ): Promise<{ kind: 'policy'; policy: CachedPolicy } | { kind: 'failed'; failure: Failure } | undefined> {
    const { wall, count } = this.#deps;
    const failed = this.#failed;
    const before = failed.find(domain, id, wall());
    if (before) return { kind: 'failed', failure: before };
    const fetched = await this.#slots.run(signal, () => this.#fetchInTime(domain, claim.ended), claim);
    if (fetched === undefined) return undefined;
    if (fetched.kind === 'failed') {
      if (this.#limits.isClosed) return fetched;
      count(fetched.failure.cause);
      // What this relay lacks says nothing of the host, and may be there again at once.
      if (fetched.failure.cause !== 'local')
        failed.remember(domain, { id, at: wall(), failure: fetched.failure });
      this.#tell(domain, fetched.failure);
      return fetched;
    }
    count('fetched');
    const policy = { ...fetched.policy, id, fetchedAt: wall(), usedAt: wall() };
    this.#keep(domain, policy);
    return { kind: 'policy', policy };
  }

  /** Undefined if it was given up. */
  #fetchInTime(domain: string, givenUp: AbortSignal): Promise<Fetched | undefined> {
    const { fetch } = this.#deps;
    const fetching = this.#limits.run(FETCH_MS, (late) => fetch(domain, AbortSignal.any([late, givenUp])));
    return within(
      givenUp,
      fetching.then((fetched) => fetched ?? tookTooLong(domain)),
    );
  }

  #keep(domain: string, policy: CachedPolicy): void {
    const { cache, log, wall } = this.#deps;
    const old = cache.get(domain, wall());
    cache.set(domain, { ...policy, usedAt: old?.usedAt ?? policy.usedAt });
    this.#failed.forget(domain);
    const { id, mode, mxPatterns, maxAgeSeconds } = policy;
    if (old?.id === id && old.mode === mode && isDeepStrictEqual(old.mxPatterns, mxPatterns)) return;
    log('sts_policy', { domain, id, mode, mx: mxPatterns.slice(0, 10).join(' '), maxAgeSeconds });
  }

  /** Of mode "none" nobody has to know (section 3.3). */
  #tell(domain: string, { cause, text: reason }: Failure): void {
    const { log, cache, wall } = this.#deps;
    const held = cache.get(domain, wall());
    const until = held && { heldUntil: new Date(held.fetchedAt + lifetimeMs(held)).toISOString() };
    if (held?.mode !== 'none') log('sts_policy_failed', { domain, cause, reason, ...until });
  }
}

function toFinding({ mode, mxPatterns, maxAgeSeconds }: CachedPolicy): StsFinding {
  return mode === 'none' ? NONE : { kind: 'policy', mode, mxPatterns, maxAgeSeconds };
}

/** What is our own fault, or only a matter of a clock, is no absence of a policy. */
function toFailed(failure: Failure): StsFinding {
  return { kind: failure.cause === 'local' || failure.mayPass ? 'unasked' : 'failed', failure };
}

/** A refresh leaves time for further ones before the end of the policy. */
function isDue(policy: CachedPolicy, now: number): boolean {
  return Math.abs(now - policy.fetchedAt) > Math.min(REFRESH_MS, lifetimeMs(policy) / 2);
}

function isUsed(policy: CachedPolicy, now: number): boolean {
  return now - policy.usedAt < UNUSED_MS;
}

function tookTooLong(domain: string): Fetched {
  const text = `Cannot use the MTA-STS policy of ${domain}: it took too long`;
  return { kind: 'failed', failure: makeFailure({ cause: 'sts-policy-fetch-error', status: '4.7.5', text }) };
}

/** A cause that no report tells to the domain: it is the fault of others. */
function makeUnasked(domain: string): Failure {
  const text = `It is not known in time whether ${domain} has an MTA-STS policy: too many other domains are looked up`;
  return makeFailure({ cause: 'dns', status: '4.4.3', text });
}
