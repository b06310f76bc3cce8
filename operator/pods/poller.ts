/**
 * Asks every relay pod for its status by one long poll: an answer comes when there is news, so that changes arrive at
 * once and idle costs nothing. A pod that cannot be reached has no report, and is asked again with growing pauses.
 */
import { Agent, request } from 'undici';
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { ADMIN_PORT } from '#crds/wellknown.ts';
import { sleepUnlessAborted } from '../kube/sleep.ts';
import type { Priority } from '../kube/workqueue.ts';

const POLL_MS = 75_000;
const CONNECT_MS = 2_000;
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 15_000;

export interface PollTarget {
  readonly uid: string;
  readonly ip: string;
}

interface Polled {
  readonly target: PollTarget;
  readonly stop: AbortController;
  /** True from the first answer, or the first failure, on. */
  asked: boolean;
  report: PodStatus | undefined;
}

export class PodPoller {
  readonly #onReport: (relayKey: string, priority: Priority) => void;
  /** By relay, then by pod. */
  readonly #relays = new Map<string, Map<string, Polled>>();
  readonly #agent = new Agent({
    connections: 1,
    headersTimeout: POLL_MS,
    bodyTimeout: POLL_MS,
    connect: { timeout: CONNECT_MS },
  });

  /** Hears the key of the MailRelay whose pod has news; the first word of a pod is routine, as after a start. */
  constructor(onReport: (relayKey: string, priority: Priority) => void) {
    this.#onReport = onReport;
  }

  /** The last report of this very pod, not of one of the same name before it. */
  reportOf(relayKey: string, pod: string, uid: string): PodStatus | undefined {
    const polled = this.#relays.get(relayKey)?.get(pod);
    return polled?.target.uid === uid ? polled.report : undefined;
  }

  /** True when every pod of the relay that is followed has been asked: before that nothing can be said of them. */
  hasAsked(relayKey: string): boolean {
    for (const { asked } of this.#relays.get(relayKey)?.values() ?? []) if (!asked) return false;
    return true;
  }

  /** Follows exactly these pods of a relay: name to target. */
  follow(relayKey: string, pods: ReadonlyMap<string, PollTarget>): void {
    const polled = this.#relays.get(relayKey) ?? new Map<string, Polled>();
    for (const [name, { target, stop }] of polled) {
      const wanted = pods.get(name);
      if (wanted?.uid === target.uid && wanted.ip === target.ip) continue;
      stop.abort();
      polled.delete(name);
    }
    for (const [name, target] of pods) {
      if (polled.has(name)) continue;
      const pod: Polled = { target, stop: new AbortController(), asked: false, report: undefined };
      polled.set(name, pod);
      void this.#poll(relayKey, pod);
    }
    if (polled.size > 0) this.#relays.set(relayKey, polled);
    else this.#relays.delete(relayKey);
  }

  async stop(): Promise<void> {
    for (const pods of this.#relays.values()) for (const { stop } of pods.values()) stop.abort();
    this.#relays.clear();
    await this.#agent.destroy();
  }

  async #poll(relayKey: string, polled: Polled): Promise<void> {
    const { signal } = polled.stop;
    let failures = 0;
    while (!signal.aborted) {
      const report = await this.#ask(polled);
      if (signal.aborted) return;
      failures = report ? 0 : failures + 1;
      if (isNews(polled, report, failures)) {
        const priority = polled.asked ? 'fresh' : 'routine';
        polled.asked = true;
        polled.report = report;
        this.#onReport(relayKey, priority);
      }
      if (!report)
        await sleepUnlessAborted(
          Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures, 10), RETRY_LAST_MS),
          signal,
        );
    }
  }

  async #ask({ target, report, stop }: Polled): Promise<PodStatus | undefined> {
    const host = target.ip.includes(':') ? `[${target.ip}]` : target.ip;
    const since = report ? `?since=${encodeURIComponent(report.revision)}` : '';
    try {
      // Not fetch: with a thousand polls waiting that costs 50 MB more.
      const { statusCode, body } = await request(`http://${host}:${ADMIN_PORT}/status${since}`, {
        dispatcher: this.#agent,
        signal: stop.signal,
      });
      const text = await body.text();
      return statusCode === 200 ? parsePodStatus(text) : undefined;
    } catch {
      // Not reachable, or not yet: the pod's own readiness tells the rest.
      return undefined;
    }
  }
}

function isNews({ asked, report: before }: Polled, report: PodStatus | undefined, failures: number): boolean {
  if (!asked) return true;
  if (report) return report.revision !== before?.revision;
  // One lost answer is no news: the pod may be answered by a new connection at once.
  return before !== undefined && failures > 2;
}
