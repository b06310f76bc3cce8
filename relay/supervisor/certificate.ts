/**
 * The pair in service: takes a new one only when it is usable, keeps the last good one otherwise, and knows what is
 * wrong with what is mounted. Dates are judged anew whenever asked, so an expiry shows while nothing else happens.
 */
import { type JudgedPair, judgePair } from '#crds/keypair.ts';
import type { CertificateFacts } from '#crds/podstatus.ts';
import type { PairText } from '../messages.ts';
import type { Inputs } from './inputs.ts';

interface Problem {
  readonly reason: string;
  readonly message: string;
}

export class CertificateInService {
  #pair: PairText | null = null;
  #mounted: JudgedPair | undefined;

  get pair(): PairText | null {
    return this.#pair;
  }

  /** True when another pair than before is in service now. */
  look({ cert, key }: Inputs, hostname: string, now: Date): boolean {
    this.#mounted = judgePair(cert, key, hostname, now);
    if (this.#mounted.kind === 'unusable' || !cert || !key) return false;
    if (this.#pair?.cert === cert && this.#pair.key === key) return false;
    this.#pair = { cert, key };
    return true;
  }

  /** What is served, judged at `now`. */
  facts(hostname: string, now: Date): CertificateFacts | null {
    const served = this.#pair && judgePair(this.#pair.cert, this.#pair.key, hostname, now);
    return served?.kind === 'usable' ? served.facts : null;
  }

  /** What is wrong with the mounted pair, or with the one in service. */
  problem(hostname: string, now: Date): Problem | null {
    if (this.#mounted?.kind === 'unusable') {
      const { reason, message } = this.#mounted;
      return { reason, message: this.#pair ? `${message}; the last good pair stays in service` : message };
    }
    const served = this.#pair && judgePair(this.#pair.cert, this.#pair.key, hostname, now);
    return served?.kind === 'usable' ? served.blemish : null;
  }
}
