/**
 * Polls every relay pod for its status by one long poll. The pod answers when its status changes, so that changes
 * arrive at once and idle pods cost nothing. A pod that cannot be reached has no report, and is polled again with
 * growing pauses. The program that answers may not be a relay, so size, time and frequency of the answers are bounded.
 */
import { Agent, request } from 'undici';
import { printEndpoint } from '#crds/networks.ts';
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { ADMIN_PORT } from '#crds/wellknown.ts';
import { Allowance } from '../kube/allowance.ts';
import { readText } from '../kube/body.ts';
import { sleepUnlessAborted } from '../kube/sleep.ts';
import { readNamespace } from '../kube/waitingkeys.ts';
import type { Priority } from '../kube/workqueue.ts';

const POLL_MS = 75_000;
/** The failures in a row after which a pod counts as one that cannot be reached. A new connection may succeed at once. */
const LOST_AFTER = 3;
/** The longest time for these failures before the first report. Until then the relay gets no status. */
const FIRST_WORD_MS = 5_000;
/** The time-out of the first poll. It has no `since`, so the pod answers at once. */
const FIRST_MS = 10_000;
/** The largest report: more than all its bounds together. */
const REPORT_BYTES = 512 * 1024;
/**
 * What the pods of a namespace may report. A report has some kilobytes and is rare, and a thousand pods may report at
 * once.
 */
const BYTES = { perSecond: 128 * 1024, burst: 4 * 1024 * 1024 };
const CONNECT_MS = 2_000;
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 15_000;
/** An answer that comes faster than this is hasty. After some hasty answers in a row, the pod is polled with pauses. */
const HASTY_MS = 100;
const HASTY_ANSWERS = 20;
const HASTY_PAUSE_MS = 1_000;

export interface PollTarget {
  readonly uid: string;
  readonly ip: string;
}

interface Answer {
  readonly report: PodStatus | undefined;
  readonly bytes: number;
}

interface Polled {
  readonly target: PollTarget;
  readonly stop: AbortController;
  /** True after the first answer, or after as many failures as make a pod unreachable. */
  asked: boolean;
  report: PodStatus | undefined;
}

export class PodPoller {
  readonly #onReport: (relayKey: string, priority: Priority) => void;
  /** By relay, then by pod. */
  readonly #relays = new Map<string, Map<string, Polled>>();
  readonly #allowance = new Allowance(BYTES);
  readonly #agent = new Agent({
    connections: 1,
    // Each request has a signal that ends it. The timers of the library would tick twice a second.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_MS },
  });

  /**
   * `onReport` gets the key of a MailRelay whose pod has a new report. The first report of a pod is routine, as at a
   * start.
   */
  constructor(onReport: (relayKey: string, priority: Priority) => void) {
    this.#onReport = onReport;
  }

  /** The last report of the pod with this uid, not of an earlier pod of the same name. */
  reportOf(relayKey: string, pod: string, uid: string): PodStatus | undefined {
    const polled = this.#relays.get(relayKey)?.get(pod);
    return polled?.target.uid === uid ? polled.report : undefined;
  }

  /** True if every followed pod of the relay has been polled. Before that their state is unknown. */
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
    const since = performance.now();
    let [failures, hasty] = [0, 0];
    while (!signal.aborted) {
      const begun = performance.now();
      const { report, bytes } = await this.#ask(polled);
      if (signal.aborted) return;
      failures = report ? 0 : failures + 1;
      hasty = performance.now() - begun < HASTY_MS ? hasty + 1 : 0;
      if (isNews(polled, report, failures, performance.now() - since)) {
        const priority = polled.asked ? 'fresh' : 'routine';
        polled.asked = true;
        polled.report = report;
        this.#onReport(relayKey, priority);
      }
      const pause = Math.max(this.#spend(readNamespace(relayKey), bytes), pauseMs(failures, hasty));
      if (pause > 0) await sleepUnlessAborted(pause, signal);
    }
  }

  /** Milliseconds until a pod of the namespace is asked again that has sent this many bytes. */
  #spend(namespace: string, bytes: number): number {
    const now = performance.now();
    this.#allowance.spend(namespace, bytes, now);
    return this.#allowance.pauseMs(namespace, now);
  }

  async #ask({ target, report, stop }: Polled): Promise<Answer> {
    const endpoint = printEndpoint(target.ip, ADMIN_PORT);
    const since = report ? `?since=${encodeURIComponent(report.revision)}` : '';
    try {
      // Not fetch: with a thousand waiting polls it needs 50 MB more.
      const { statusCode, body } = await request(`http://${endpoint}/status${since}`, {
        dispatcher: this.#agent,
        signal: AbortSignal.any([stop.signal, AbortSignal.timeout(report ? POLL_MS : FIRST_MS)]),
      });
      const text = await readText(body, REPORT_BYTES);
      const bytes = text?.length ?? REPORT_BYTES;
      return { report: text !== undefined && statusCode === 200 ? parsePodStatus(text) : undefined, bytes };
    } catch {
      // The pod cannot be reached, or not yet. Its readiness shows in the pod object.
      return { report: undefined, bytes: 0 };
    }
  }
}

/** The pause before the next poll, after a number of failures or hasty answers in a row. */
export function pauseMs(failures: number, hasty: number): number {
  if (failures === 0) return hasty < HASTY_ANSWERS ? 0 : HASTY_PAUSE_MS;
  return Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures, 10), RETRY_LAST_MS);
}

function isNews(
  { asked, report: before }: Polled,
  report: PodStatus | undefined,
  failures: number,
  followedMs: number,
): boolean {
  if (report) return !asked || report.revision !== before?.revision;
  const isLost = failures >= LOST_AFTER;
  return asked ? before !== undefined && isLost : isLost || followedMs >= FIRST_WORD_MS;
}
