/**
 * Whose turn it is at a message: that of its deliveries, which go on side by side, or that of a person who wants to change it. A
 * person waits for the deliveries under way, and none begins meanwhile. Without that, a message that goes in many transactions
 * would leave nobody a moment between two of them. A change that is none of a person keeps no delivery waiting. This file has
 * no clock of its own.
 */
interface Turn {
  underWay: number;
  /** Who waits for the end of the deliveries, in this order. Each promise resolves when that one waits no more. */
  readonly asking: Map<() => void, Promise<void>>;
  afterwards?: () => void;
}

export class Turns {
  /** By message, while a delivery of it is under way. */
  readonly #turns = new Map<string, Turn>();

  /** A delivery begins. The returned function ends it. */
  begin(id: string): () => void {
    const turn: Turn = this.#turns.get(id) ?? { underWay: 0, asking: new Map() };
    turn.underWay += 1;
    this.#turns.set(id, turn);
    return () => {
      turn.underWay -= 1;
      if (turn.underWay > 0) return;
      this.#turns.delete(id);
      for (const serve of [...turn.asking.keys()]) serve();
      turn.afterwards?.();
    };
  }

  /** Undefined unless somebody waits for a turn at this message. */
  asked(id: string): Promise<void> | undefined {
    return this.#turns.get(id)?.asking.values().next().value;
  }

  /** Calls `take` when the deliveries under way have ended, behind persons, and holds none up for it. False: none is under way. */
  callAfter(id: string, take: () => void): boolean {
    const turn = this.#turns.get(id);
    if (turn) turn.afterwards = take;
    return turn !== undefined;
  }

  /** Calls `take` when no delivery of the message is under way. Undefined if the patience ends before; absent: there is none. */
  async ask<T>(id: string, take: () => Promise<T>, patience?: AbortSignal): Promise<T | undefined> {
    const turn = this.#turns.get(id);
    if (!turn) return take();
    if (!patience || patience.aborted) return undefined;
    const result = Promise.withResolvers<T | undefined>();
    const served = Promise.withResolvers<void>();
    const end = (taken: Promise<T> | undefined) => {
      patience.removeEventListener('abort', giveUp);
      turn.asking.delete(serve);
      served.resolve();
      result.resolve(taken);
    };
    const giveUp = () => end(undefined);
    // At once, so that what it writes is known to be under way before the next delivery looks.
    const serve = () => end(take());
    turn.asking.set(serve, served.promise);
    patience.addEventListener('abort', giveUp);
    return result.promise;
  }
}
