/**
 * Connections that wait for a next message. A handshake costs more than a message, so connections are used again. Two
 * deliveries share a connection only if all settings of the hop and the TLS policy are equal.
 */
import type { HopWay } from './attempt.ts';
import type { Session } from './connect.ts';
import type { NextHop } from './courier.ts';
import type { TlsPolicy } from './tlspolicy.ts';

/** Low, so that next hops do not close the connection first. */
const IDLE_MS = 20_000;

interface Idle {
  readonly hop: NextHop;
  readonly session: Session;
  readonly timer: NodeJS.Timeout;
}

export class IdleConnections {
  readonly #idle = new Map<string, Idle[]>();

  /** Ways that have a connection. A relay meets ever more hosts, so nothing is left of those without one. */
  get ways(): number {
    return this.#idle.size;
  }

  keep(way: HopWay, session: Session): void {
    const key = makeKey(way, session.trace !== undefined);
    const timer = setTimeout(() => this.#endOne(key, session), IDLE_MS);
    this.#idle.set(key, [...(this.#idle.get(key) ?? []), { hop: way.hop, session, timer }]);
  }

  /** Takes the connection that was used last, so that the others become idle and end. */
  take(way: HopWay, traced: boolean): Session | undefined {
    const key = makeKey(way, traced);
    const kept = this.#idle.get(key) ?? [];
    let last = kept.pop();
    for (; last?.session.broken; last = kept.pop()) clearTimeout(last.timer);
    if (kept.length === 0) this.#idle.delete(key);
    clearTimeout(last?.timer);
    return last?.session;
  }

  /** Ends the connections to these hops, or only the first `most` of them. Those that have ended already do not count. */
  end(which: (hop: NextHop) => boolean, most = Number.POSITIVE_INFINITY): void {
    let left = most;
    for (const [key, kept] of [...this.#idle]) {
      for (const { session, timer } of kept.filter(({ hop }) => which(hop))) {
        if (left <= 0) return;
        if (!session.broken) left -= 1;
        clearTimeout(timer);
        this.#endOne(key, session);
      }
    }
  }

  #endOne(key: string, session: Session): void {
    const left = (this.#idle.get(key) ?? []).filter((kept) => kept.session !== session);
    if (left.length > 0) this.#idle.set(key, left);
    else this.#idle.delete(key);
    if (!session.broken) session.connection.quit();
  }
}

/** Of policies for which a key was made. A TLS policy is decided for one hop, so it stands for the hop too. */
const KEYS = new WeakMap<TlsPolicy, string>();

function makeKey({ hop, policy }: HopWay, traced: boolean): string {
  let key = KEYS.get(policy);
  if (key === undefined) {
    const { priority: _, weight: __, ...settings } = hop;
    key = JSON.stringify({ hop: settings, policy });
    KEYS.set(policy, key);
  }
  return traced ? `traced ${key}` : key;
}
