/**
 * The places of connections that are ending. The result of a delivery does not wait for the reply to QUIT, unless that
 * proves refusals (transaction.ts), so the next delivery may begin before the connection is closed. A hop counts it until then: a new connection to the same
 * destination takes over the place of one that is ending, and waits for its end. Each of these waits is bounded.
 */
import type { HopWay } from './attempt.ts';
import type { AttemptBudget } from './budget.ts';

interface Connection {
  readonly isEnding: boolean;
  readonly closed: Promise<void>;
  cut(reason: string, because: 'relay'): void;
}

export class Places {
  readonly #open = new Map<string, Set<Connection>>();
  readonly #awaited = new Set<Connection>();
  #isClosed = false;

  /** Knows the connection until it is closed. */
  add(way: HopWay, connection: Connection): void {
    const key = placeOf(way);
    const open = this.#open.get(key) ?? new Set();
    this.#open.set(key, open.add(connection));
    void connection.closed.then(() => this.#remove(key, connection));
  }

  /**
   * Waits for a connection that is ending, if there is one that nobody else waits for. If the time is over first, it can be
   * awaited again.
   */
  async take(way: HopWay, budget: AttemptBudget): Promise<void> {
    const key = placeOf(way);
    if (this.#isClosed || budget.isOver) return;
    for (const connection of this.#open.get(key) ?? []) {
      if (!connection.isEnding || this.#awaited.has(connection)) continue;
      this.#awaited.add(connection);
      await budget.within(connection.closed);
      this.#awaited.delete(connection);
      return;
    }
  }

  /** Nobody waits any more, or begins to. */
  close(reason: string): void {
    this.#isClosed = true;
    for (const connection of this.#awaited) connection.cut(reason, 'relay');
  }

  #remove(key: string, connection: Connection): void {
    const open = this.#open.get(key);
    open?.delete(connection);
    if (open?.size === 0) this.#open.delete(key);
  }
}

function placeOf({ hop, destination }: HopWay): string {
  return destination ?? `${hop.host}:${hop.port}`;
}
