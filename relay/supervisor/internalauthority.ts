/**
 * The authority of the certificate inside the cluster, as the status tells it: that of the pair in service, and that of
 * a pair which waits for its turn (publication.ts). The operator publishes both.
 */
import { findIssuers, listCertificates } from '#crds/keypair.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { CLOCKS, type Clocks } from '../task/clock.ts';
import type { PairText } from '../task/messages.ts';
import type { Seen } from './certificate.ts';
import {
  decideTurn,
  followPublication,
  type Moment,
  type NewPair,
  type Publication,
  type Turn,
} from './publication.ts';

/** A kubelet shows a changed ConfigMap within a minute and a half. */
const AUTHORITY_MS = 120_000;

export class InternalAuthority {
  readonly #clocks: Clocks;
  readonly #authorityMs: number;
  #publication: Publication = null;
  #ofServed: string | null = null;
  /** The authority that was mounted when the pair in service was taken. */
  #takenWith: string | null = null;
  #waiting: { readonly pair: NewPair; readonly turn: Turn & { kind: 'wait' } } | null = null;

  constructor(authorityMs = AUTHORITY_MS, clocks = CLOCKS) {
    this.#authorityMs = authorityMs;
    this.#clocks = clocks;
  }

  /** `published`: the authorities file. */
  look(found: Omit<NewPair, 'servedAuthority'>, published: string | undefined): Turn {
    const pair = { ...found, servedAuthority: this.#takenWith };
    this.#publication = followPublication(this.#publication, published, this.#now());
    const turn = this.#decide(pair);
    this.#waiting = turn.kind === 'wait' ? { pair, turn } : null;
    return turn;
  }

  /** True if the turn of the waiting pair has come since the last look. */
  isDue(): boolean {
    return this.#waiting !== null && this.#decide(this.#waiting.pair).kind === 'serve';
  }

  /**
   * `authority` is mounted beside the pair that a look has found (`seen`). While that is refused, the authority of the
   * pair in service stays. An authority may also change alone: the one that issued the pair in service then stays too.
   */
  keep(seen: Seen['kind'], served: PairText | null, authority: string | null): void {
    if (served && seen === 'refused') return;
    const isNew = served === null || seen === 'taken';
    if (isNew) this.#takenWith = authority;
    this.#ofServed = isNew ? authority : withIssuers(authority, this.#ofServed, served.cert);
  }

  forget(): void {
    this.#waiting = null;
  }

  get ofServed(): string | null {
    return this.#ofServed;
  }

  get next(): PodStatus['nextInternalCertificate'] {
    if (!this.#waiting) return null;
    const { facts, authority, follows } = this.#waiting.turn;
    return { ...facts, authority, follows: follows && printInstant(follows) };
  }

  #decide(pair: NewPair): Turn {
    return decideTurn(pair, this.#publication, this.#now(), this.#authorityMs);
  }

  #now(): Moment {
    return { monotonic: this.#clocks.monotonic(), wall: this.#clocks.wall() };
  }
}

function printInstant({ wall }: Moment): string {
  return new Date(wall).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** `authority`, and before it, if it did not issue `chain`, those of `before` that did. */
function withIssuers(authority: string | null, before: string | null, chain: string): string | null {
  if (findIssuers(chain, authority ?? '').length > 0) return authority;
  const all = [...findIssuers(chain, before ?? ''), ...listCertificates(authority ?? '')];
  return all.length > 0 ? `${[...new Set(all)].join('\n')}\n` : null;
}
