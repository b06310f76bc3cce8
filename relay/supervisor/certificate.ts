/**
 * The certificate and key in service. It takes a new pair only if the pair is usable, and keeps the last good pair
 * otherwise. It knows what is wrong with the mounted pair. Dates are checked at each question, so an expiry shows even
 * if nothing else happens.
 */

import type { CertificateFacts } from '#crds/certificatestatus.ts';
import { type JudgedPair, judgePair } from '#crds/keypair.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import type { PairText } from '../task/messages.ts';

type Problem = PodStatus['certificateProblem'];

export interface MountedPair {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export type Seen =
  | { kind: 'same' }
  | { kind: 'taken'; first: boolean; pair: PairText; facts: CertificateFacts; warning: string | null }
  | { kind: 'refused'; reason: string; message: string };

export class CertificateInService {
  #pair: PairText | null = null;
  #facts: CertificateFacts | null = null;
  /** The mounted pair of the last look, and why it was refused. */
  #mounted = '';
  #refusal: Problem = null;
  /** The status is built many times a second, and a check takes a millisecond. So the result is kept for one second. */
  #judged: { of: string; problem: Problem } = { of: '', problem: null };

  get pair(): PairText | null {
    return this.#pair;
  }

  look({ cert, key }: MountedPair, hosts: readonly string[], now: Date): Seen {
    const mounted = JSON.stringify([cert, key]);
    if (mounted === this.#mounted) return { kind: 'same' };
    this.#mounted = mounted;
    const judged = judgePair(cert, key, hosts, now);
    if (judged.kind === 'unusable' || !cert || !key) return this.#refuse(judged);
    this.#refusal = null;
    if (this.#pair?.cert === cert && this.#pair.key === key) return { kind: 'same' };
    const first = this.#pair === null;
    this.#pair = { cert, key };
    this.#facts = judged.facts;
    const warning = judged.warning?.message ?? null;
    return { kind: 'taken', first, pair: this.#pair, facts: judged.facts, warning };
  }

  /** The mounted pair is good and waits for its turn. */
  wait(): void {
    this.#mounted = '';
    this.#refusal = null;
  }

  get facts(): CertificateFacts | null {
    return this.#facts;
  }

  /** The problem of the mounted pair, or else of the pair in service, at the time `now`. */
  problem(hosts: readonly string[], now: Date): Problem {
    if (this.#refusal) return this.#refusal;
    const of = JSON.stringify([Math.floor(now.getTime() / 1000), hosts, this.#facts?.fingerprint]);
    if (of !== this.#judged.of) {
      const served = this.#pair && judgePair(this.#pair.cert, this.#pair.key, hosts, now);
      this.#judged = { of, problem: served?.kind === 'usable' ? served.warning : null };
    }
    return this.#judged.problem;
  }

  #refuse(judged: JudgedPair): Seen {
    if (judged.kind === 'usable') return { kind: 'same' };
    const { reason, message } = judged;
    this.#refusal = {
      reason,
      message: this.#pair ? `${message}; the last good pair stays in service` : message,
    };
    return { kind: 'refused', ...this.#refusal };
  }
}
