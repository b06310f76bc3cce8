/**
 * Counts the connections to each provider, so that no provider has more than its limit. Connections of all its domains
 * count, idle ones too, until their socket is closed.
 */
import type { Provider } from '#crds/policyfile.ts';
import type { AttemptBudget } from './budget.ts';

interface Count {
  open: number;
  /** Attempts that wait for one more. */
  waiting: number;
  /** Resolves when a connection has closed. */
  closed: PromiseWithResolvers<void>;
}

export class ProviderConnections {
  readonly #counts = new Map<string, Count>();

  /**
   * Waits until one more connection may be made, and counts it. Returns the function to call when it is closed.
   * Undefined if the attempt has no time left. `endIdle` is called while the limit is reached.
   */
  async open(
    { name, limits: { connections } }: Provider,
    endIdle: () => void,
    budget: AttemptBudget,
  ): Promise<(() => void) | undefined> {
    const count = this.#counts.get(name) ?? { open: 0, waiting: 0, closed: Promise.withResolvers<void>() };
    this.#counts.set(name, count);
    while (connections !== null && count.open >= connections) {
      endIdle();
      count.waiting += 1;
      await budget.within(count.closed.promise);
      count.waiting -= 1;
      if (budget.isOver) return undefined;
    }
    count.open += 1;
    return () => {
      const { closed } = count;
      count.open -= 1;
      count.closed = Promise.withResolvers();
      closed.resolve();
    };
  }

  /** True if an attempt waits for a connection, so that none may become idle. */
  isWanted({ name }: Provider): boolean {
    return (this.#counts.get(name)?.waiting ?? 0) > 0;
  }
}
