/** What one look-up has a right to, by those who wait for it. When the last one has left, it has to stand back. */
export class Claim {
  readonly #end = new AbortController();
  readonly #onLeft: (claim: Claim) => void;
  #askers = 0;

  /** `onLeft`: the last asker has left. Another may come, if the claim has not ended by then. */
  constructor(onLeft: (claim: Claim) => void) {
    this.#onLeft = onLeft;
  }

  get isWanted(): boolean {
    return this.#askers > 0;
  }

  /** Tells the look-up that its place went to another. */
  get ended(): AbortSignal {
    return this.#end.signal;
  }

  /** `left` ends when the asker waits no more. Undefined: it waits to the end. */
  join(left: AbortSignal | undefined): void {
    if (left?.aborted) return;
    this.#askers += 1;
    left?.addEventListener('abort', () => this.#leave(), { once: true });
  }

  end(): void {
    this.#end.abort();
  }

  #leave(): void {
    this.#askers -= 1;
    if (this.#askers === 0) this.#onLeft(this);
  }
}

/** Of one who waits whatever happens. */
export function claimToTheEnd(): Claim {
  const claim = new Claim(() => undefined);
  claim.join(undefined);
  return claim;
}
