/**
 * Whose turn it is at a message: that of its deliveries, which go on side by side, or that of a person who wants to change it. A
 * person waits for the deliveries under way, and none begins meanwhile. Without that, a message that goes in many transactions
 * would leave nobody a moment between two of them. A change that is none of a person keeps no delivery waiting, and waits for none
 * that begins after it was wanted. This file has no clock of its own.
 */
interface Turn {
  underWay: number;
  begun: number;
  /** Who waits for the end of the deliveries, in this order. Each promise resolves when that one waits no more. */
  asking: Map<() => void, Promise<void>> | undefined;
  later?: Later | undefined;
}

interface Later {
  readonly take: () => void;
  /** The number of the last delivery that it waits for, and how many of those go on. */
  readonly upTo: number;
  left: number;
}

export class Turns {
  /** By message, while a delivery of it is under way. */
  readonly #turns = new Map<string, Turn>();

  /** A delivery begins. The returned function ends it. */
  begin(id: string): () => void {
    const turn: Turn = this.#turns.get(id) ?? { underWay: 0, begun: 0, asking: undefined };
    turn.underWay += 1;
    turn.begun += 1;
    const number = turn.begun;
    this.#turns.set(id, turn);
    return () => {
      turn.underWay -= 1;
      if (turn.underWay === 0) this.#end(id, turn);
      const { later } = turn;
      if (!later || number > later.upTo) return;
      later.left -= 1;
      if (later.left > 0) return;
      turn.later = undefined;
      later.take();
    };
  }

  #end(id: string, turn: Turn): void {
    this.#turns.delete(id);
    if (turn.asking) for (const serve of [...turn.asking.keys()]) serve();
  }

  /** Undefined unless somebody waits for a turn at this message. */
  asked(id: string): Promise<void> | undefined {
    return this.#turns.get(id)?.asking?.values().next().value;
  }

  /**
   * Calls the first such `take` when the deliveries that are under way now have ended, behind persons who have their turn then.
   * Holds none up for it, so others may be under way: with two hops there may always be one. False: none is under way.
   */
  callAfter(id: string, take: () => void): boolean {
    const turn = this.#turns.get(id);
    if (turn) turn.later ??= { take, upTo: turn.begun, left: turn.underWay };
    return turn !== undefined;
  }

  /** Calls `take` when no delivery of the message is under way. Undefined if the patience ends before; absent: there is none. */
  async ask<T>(id: string, take: () => Promise<T>, patience?: AbortSignal): Promise<T | undefined> {
    const turn = this.#turns.get(id);
    if (!turn) return take();
    if (!patience || patience.aborted) return undefined;
    turn.asking ??= new Map();
    const { asking } = turn;
    const result = Promise.withResolvers<T | undefined>();
    const served = Promise.withResolvers<void>();
    const end = (taken: Promise<T> | undefined) => {
      patience.removeEventListener('abort', giveUp);
      asking.delete(serve);
      served.resolve();
      result.resolve(taken);
    };
    const giveUp = () => end(undefined);
    // At once, so that what it writes is known to be under way before the next delivery looks.
    const serve = () => end(take());
    asking.set(serve, served.promise);
    patience.addEventListener('abort', giveUp);
    return result.promise;
  }
}
