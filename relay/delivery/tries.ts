/**
 * What came of the hosts in one attempt, and whether that is final: it is if every host was asked and none can ever take the
 * message. A host that is this relay itself is a loop. Of an MX list, only hosts of a better preference than ours may get the
 * mail (RFC 5321 section 5.1), so only these count. While one of them fails for now, the mail waits for it: this relay is
 * then their backup. Of configured hops, somebody named each on purpose, so each may take the mail, and it waits for them.
 * Pure.
 */
import type { Failure } from '#crds/failure.ts';
import type { NextHop } from './courier.ts';

interface FailedTry {
  readonly hop: NextHop;
  readonly failure: Failure;
}

export class Tries {
  readonly #failed: FailedTry[] = [];
  /** Hosts that were not tried, or not all of their addresses. */
  readonly #untried: NextHop[] = [];
  /** The loop of the best preference. */
  #loop: FailedTry | undefined;

  fail(hop: NextHop, failure: Failure): void {
    this.#failed.push({ hop, failure });
    if (isLoop(failure) && hop.priority < this.#end) this.#loop = { hop, failure };
  }

  leave(...hops: readonly NextHop[]): undefined {
    this.#untried.push(...hops);
  }

  get failures(): readonly Failure[] {
    return this.#failed.map(({ failure }) => failure);
  }

  /** From there the mail would come back. */
  isBehindUs({ mxOf, priority }: NextHop): boolean {
    return mxOf !== undefined && priority >= this.#end;
  }

  /** Undefined: the mail waits. */
  findFinal(): Failure | undefined {
    if (this.#untried.some((hop) => !this.isBehindUs(hop))) return undefined;
    const counts = this.#failed.filter(({ hop }) => !this.isBehindUs(hop));
    const final = counts.filter(({ failure }) => failure.permanent);
    // What other machines of a host have said holds for those to which there is no way from here.
    const isAnsweredFor = ({ hop, failure }: FailedTry) =>
      failure.noWay && final.some((one) => one.hop === hop);
    if (counts.some((one) => !one.failure.permanent && !isAnsweredFor(one))) return undefined;
    return (this.#loop ?? final[0])?.failure;
  }

  get #end(): number {
    return this.#loop?.hop.priority ?? Number.POSITIVE_INFINITY;
  }
}

/** Made by connectfailure.ts. */
export function isLoop({ cause, status }: Failure): boolean {
  return cause === 'policy' && status === '5.4.6';
}
