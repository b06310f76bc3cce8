/**
 * What the page asks, answered by all pods. A pod that does not answer takes nothing from the answer of the others: it
 * is told in a sentence.
 */
import { describeTlsShare } from '#crds/podstatus.ts';
import type { HistoryQuery } from '#relay/history/entry.ts';
import { findCure } from '#relay/listener/cures.ts';
import { QUEUE_ACTIONS, type QueueEntry } from '#relay/queue/tools.ts';
import { isTraceLine } from '../trace.ts';
import type {
  ActAnswer,
  ActRequest,
  FindAnswer,
  Look,
  MessageKey,
  PodLook,
  QueueAnswer,
  QueuedMessage,
  SessionsAnswer,
  Story,
  TraceAnswer,
} from './api.ts';
import { countOutcomes, LastHour } from './lasthour.ts';
import type { Reading, RelayPod, Relays } from './relays.ts';

const MOST_LISTED = 200;
const MOST_FOUND = 100;
/** One more tells that there are more. */
const ASKED = MOST_FOUND + 1;
const MOST_TRACED = 500;

/** A question or a change that is not understood. */
export class RequestFault extends Error {}

export class Answers {
  readonly #relays: Relays;
  readonly #allowsChanges: boolean;
  readonly #lastHour = new LastHour();
  #looked: { readonly at: number; readonly pods: Promise<readonly PodLook[]> } | undefined;

  constructor(relays: Relays, allowsChanges: boolean) {
    this.#relays = relays;
    this.#allowsChanges = allowsChanges;
  }

  /** The path is that below /api/. Undefined: there is no such question. */
  answer(path: string, query: URLSearchParams): Promise<object> | undefined {
    const get = (name: string) => query.get(name) ?? '';
    switch (path) {
      case 'look':
        return this.#look(Number(get('after')));
      case 'queue':
        return this.#list(get('text').trim(), get('state'));
      case 'find':
        return this.#find(readWish(get('who').trim()));
      case 'story':
        return this.#tell({ pod: get('pod'), id: get('id') });
      case 'sessions':
        return this.#listSessions();
      case 'trace':
        return this.#trace(get('peer').trim());
      default:
        return undefined;
    }
  }

  async act(body: unknown): Promise<ActAnswer> {
    const { action, messages } = readRequest(body);
    const names = new Set(messages.map(({ pod }) => pod));
    const { found, problems } = await this.#ask(async (pod) => {
      if (!names.has(pod.name)) return [];
      const ids = messages.filter((one) => one.pod === pod.name).map(({ id }) => id);
      return mark(pod, await pod.act(action, ids));
    });
    return { results: found.flat(), problems };
  }

  async #look(after: number): Promise<Look> {
    const { title, everyMs } = this.#relays;
    const now = Date.now();
    // Several pages share a look.
    if (!this.#looked || now - this.#looked.at >= everyMs / 2)
      this.#looked = { at: now, pods: this.#readPods(now) };
    const pods = await this.#looked.pods;
    const tlsShare = describeTlsShare(pods.flatMap(({ status }) => status?.sessions ?? []));
    const refusals = pods.flatMap(({ status }) => status?.sessions.refusals ?? []);
    const cures = refusals.flatMap(({ reason }) => {
      const cure = findCure(reason);
      return cure === undefined ? [] : [[reason, cure]];
    });
    return {
      title,
      allowsChanges: this.#allowsChanges,
      everyMs,
      ...(tlsShare === undefined ? {} : { tlsShare }),
      pods,
      cures: Object.fromEntries(cures),
      taken: this.#relays.taken(),
      samples: this.#lastHour.after(after),
    };
  }

  async #readPods(now: number): Promise<readonly PodLook[]> {
    const readings = new Map<string, Reading>();
    const looks = await Promise.all(
      (await this.#relays.pods()).map(async (pod): Promise<PodLook> => {
        try {
          const reading = await pod.read();
          readings.set(pod.name, reading);
          return { name: pod.name, ...describeReading(reading) };
        } catch (error) {
          return { name: pod.name, problem: (error as Error).message };
        }
      }),
    );
    this.#lastHour.add(readings, now);
    return looks;
  }

  async #list(text: string, state: string): Promise<QueueAnswer> {
    let [messages, bytes] = [0, 0];
    const { found, problems } = await this.#ask(async (pod) => {
      const first: QueuedMessage[] = [];
      for await (const entry of pod.list()) {
        if (!isWanted(entry, text.toLowerCase(), state)) continue;
        messages += 1;
        bytes += entry.bytes;
        if (first.length < MOST_LISTED) first.push({ pod: pod.name, ...entry });
      }
      return first;
    });
    const entries = found.flat().toSorted((a, b) => a.received.localeCompare(b.received));
    return { messages, bytes, entries: entries.slice(0, MOST_LISTED), problems };
  }

  async #find(query: HistoryQuery): Promise<FindAnswer> {
    const { found, problems } = await this.#ask(async (pod) => mark(pod, await pod.find(query)));
    const entries = found.flat().toSorted((a, b) => b.received.localeCompare(a.received));
    const isCut = entries.length > MOST_FOUND;
    return { entries: entries.slice(0, MOST_FOUND), isCut, problems };
  }

  async #tell({ pod: name, id }: MessageKey): Promise<Story> {
    const pod = (await this.#relays.pods()).find((one) => one.name === name);
    if (!pod) throw new RequestFault(`There is no pod "${name}" any more: find the message again`);
    const [queued, history] = await Promise.allSettled([pod.show(id), pod.find({ id, most: 1 })]);
    return {
      queued: (queued.status === 'fulfilled' && queued.value) || null,
      history: (history.status === 'fulfilled' && history.value[0]) || null,
      problems: [queued, history].flatMap((one) =>
        one.status === 'rejected' ? [(one.reason as Error).message] : [],
      ),
    };
  }

  async #listSessions(): Promise<SessionsAnswer> {
    const { found, problems } = await this.#ask(async (pod) => ({
      pod: pod.name,
      ...(await pod.sessions()),
    }));
    return { pods: found, problems };
  }

  async #trace(peer: string): Promise<TraceAnswer> {
    const filter = peer === '' ? {} : { peer };
    const { found, problems } = await this.#ask(async (pod) =>
      (await pod.log())
        .filter((line) => isTraceLine(line, filter))
        .slice(-MOST_TRACED)
        .map((text) => ({ pod: pod.name, text })),
    );
    const lines = found.flat().toSorted((a, b) => a.text.localeCompare(b.text));
    return { lines: lines.slice(-MOST_TRACED), problems };
  }

  async #ask<T>(question: (pod: RelayPod) => Promise<T>): Promise<{ found: T[]; problems: string[] }> {
    const pods = await this.#relays.pods();
    const settled = await Promise.allSettled(pods.map(question));
    return {
      found: settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
      problems: settled.flatMap((one, index) =>
        one.status === 'rejected' ? [nameProblem(pods, index, one.reason as Error)] : [],
      ),
    };
  }
}

function describeReading(reading: Reading): Omit<PodLook, 'name'> {
  const { status } = reading;
  const tlsShare = describeTlsShare([status.sessions]);
  return { status, outcomes: countOutcomes(reading), ...(tlsShare === undefined ? {} : { tlsShare }) };
}

function nameProblem(pods: readonly RelayPod[], index: number, { message }: Error): string {
  return pods.length === 1 ? message : `${pods[index]?.name}: ${message}`;
}

function mark<T>(pod: RelayPod, found: readonly T[]): (T & { readonly pod: string })[] {
  return found.map((one) => ({ pod: pod.name, ...one }));
}

function isWanted(entry: QueueEntry, text: string, state: string): boolean {
  if (state !== '' && entry.state !== state) return false;
  const { id, from, recipients } = entry;
  const words = recipients.flatMap(({ address, destination, reason = '' }) => [address, destination, reason]);
  return [id, from, ...words].some((word) => word.toLowerCase().includes(text));
}

/** A Message-ID in brackets, an address, a domain, or the id of a message. */
function readWish(who: string): HistoryQuery {
  if (who === '') return { most: ASKED };
  if (who === '<>') return { sender: who, most: ASKED };
  if (/^<.*>$/.test(who)) return { messageId: who, most: ASKED };
  return /[@.]/.test(who) ? { address: who, most: ASKED } : { id: who, most: ASKED };
}

function readRequest(body: unknown): ActRequest {
  const { action, messages } = (body ?? {}) as Partial<ActRequest>;
  const isKey = (one: Partial<MessageKey> | null) =>
    typeof one?.pod === 'string' && typeof one.id === 'string';
  const isRequest =
    action !== undefined &&
    QUEUE_ACTIONS.includes(action) &&
    Array.isArray(messages) &&
    messages.length > 0 &&
    messages.every(isKey);
  if (!isRequest) throw new RequestFault('A change needs an action and messages');
  return { action, messages };
}
