/**
 * Sends requests to the queue of a running relay over the socket in its state folder. Every failure is one sentence: no
 * relay runs, the user has no permission, or the router was replaced during a request.
 */
import { existsSync } from 'node:fs';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { json, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONTROL_SOCKET } from '#crds/wellknown.ts';
import type { HistoryEntry } from '#relay/history/entry.ts';
import type { Done, QueueAction, QueueEntry, RetryOutcome } from '#relay/queue/tools.ts';
import type { Lifted, Suppressed } from '#relay/suppression/entry.ts';
import { answerTo } from '#relay/task/httpanswer.ts';
import type { Result } from './queuetext.ts';

/** While the relay replaces its router, there is no socket for a moment. */
const PATIENCE_MS = 2_000;
const DELIVERY_MS = 5_000;
/** Most attempts end within seconds. A host that does not answer takes minutes. */
const ATTEMPT_MS = 10_000;
const AGAIN_MS = 100;
/** Until an answer begins. A relay with a large queue and a slow disk takes long. */
const ANSWER_MS = 120_000;
const NOT_FOUND = 404;
/** Such as an error of the disk. */
const FAILED = 500;
/** Messages whose retry is followed to its end. */
const FOLLOWED = 1_000;
/** No relay yet, or the connection broke before the answer. Every request here may be sent twice. */
const AWAY = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'];

export class QueueClient {
  readonly #stateDir: string;

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
  }

  /** Yields the oldest entry first, each as soon as it is read. */
  async *list(): AsyncGenerator<QueueEntry> {
    for (let asked = 1; ; asked++) {
      const lines = splitLines(await this.#ask('GET', '/queue'));
      let isBegun = false;
      try {
        for await (const line of lines) {
          isBegun = true;
          yield JSON.parse(line) as QueueEntry;
        }
        return;
      } catch (error) {
        // Before the first line the whole list can be requested again. After it, entries would be listed twice.
        if (isBegun || asked >= PATIENCE_MS / AGAIN_MS) throw this.#cutOff(error as Error);
        await sleep(AGAIN_MS);
      }
    }
  }

  /** Undefined if there is no such message. */
  async show(id: string): Promise<QueueEntry | undefined> {
    const response = await this.#ask('GET', `/queue/${encodeURIComponent(id)}`);
    const answer = await this.#read(response);
    return response.statusCode === 200 ? (answer as QueueEntry) : undefined;
  }

  /** The bytes of a message; undefined if there is no such message, or if its body is damaged. */
  async message(id: string): Promise<Readable | undefined> {
    const response = await this.#ask('GET', `/queue/${encodeURIComponent(id)}/message`);
    if (response.statusCode === 200) return response;
    response.resume();
    return undefined;
  }

  /** Does it, and adds what came of a retry. Of a long list only the first messages are followed. */
  async act(action: QueueAction, ids: readonly string[]): Promise<Result[]> {
    const done = await this.do(action, ids);
    const tried = action === 'retry' ? done.filter(({ result }) => result === 'done') : [];
    if (tried.length === 0) return done;
    const outcomes = await this.outcomes(tried.slice(0, FOLLOWED).map(({ id }) => id));
    const byId = new Map(outcomes.map((one) => [one.id, one]));
    return done.map((one) => ({ ...byId.get(one.id), ...one }));
  }

  /**
   * The relay waits for messages that are being delivered at this moment. A retry of those is asked for again, because most
   * attempts end soon, and one whose attempt goes on has come true.
   */
  async do(action: QueueAction, ids: readonly string[]): Promise<Done[]> {
    if (action !== 'retry') return (await this.#post(action, ids)) as Done[];
    const done = new Map<string, Done>();
    let left = ids;
    for (let waited = 0; ; waited += AGAIN_MS) {
      for (const one of (await this.#post(action, left)) as Done[]) done.set(one.id, one);
      left = left.filter((id) => done.get(id)?.result === 'delivering');
      if (left.length === 0 || waited >= DELIVERY_MS) break;
      await sleep(AGAIN_MS);
    }
    return [...done.values()].map((one) => (one.result === 'delivering' ? { ...one, result: 'done' } : one));
  }

  /** Returns the results of a retry of these messages. Waits for attempts under way, but not for ever. */
  async outcomes(ids: readonly string[]): Promise<RetryOutcome[]> {
    for (let waited = 0; ; waited += AGAIN_MS) {
      const outcomes = (await this.#post('outcomes', ids)) as RetryOutcome[];
      const isOver = outcomes.every(({ outcome }) => outcome !== 'trying');
      if (isOver || waited >= ATTEMPT_MS) return outcomes;
      await sleep(AGAIN_MS);
    }
  }

  /** The recipients that get no mail for some time. Undefined if the relay suppresses nobody (queue.suppression). */
  async suppressed(): Promise<Suppressed[] | undefined> {
    const response = await this.#ask('GET', '/suppressed');
    if (response.statusCode === NOT_FOUND) {
      response.resume();
      return undefined;
    }
    return (await this.#readLines(response)) as Suppressed[];
  }

  async lift(addresses: readonly string[]): Promise<Lifted[]> {
    return (await this.#post('lift', addresses)) as Lifted[];
  }

  /** The messages of the history that fit. Throws one sentence if the relay keeps none. */
  async find(query: string): Promise<HistoryEntry[]> {
    const response = await this.#ask('GET', `/history?${query}`);
    return (await this.#readLines(response)) as HistoryEntry[];
  }

  /** How many messages of the history fit, whatever the most of the query is. Counting ends one beyond MOST_COUNTED. */
  async count(query: string): Promise<number> {
    const response = await this.#ask('GET', `/history/count?${query}`);
    await this.#assertShown(response);
    return ((await this.#read(response)) as { messages: number }).messages;
  }

  async #readLines(response: IncomingMessage): Promise<unknown[]> {
    await this.#assertShown(response);
    try {
      const entries: unknown[] = [];
      for await (const line of splitLines(response)) entries.push(JSON.parse(line));
      return entries;
    } catch (error) {
      throw this.#cutOff(error as Error);
    }
  }

  /** Throws one sentence if the relay has nothing of the kind. */
  async #assertShown(response: IncomingMessage): Promise<void> {
    if (response.statusCode === 200) return;
    const { error } = (await this.#read(response)) as { error?: string };
    throw new Error(`There is nothing to show: ${error}`);
  }

  async #post(action: string, ids: readonly string[]): Promise<unknown> {
    const response = await this.#ask('POST', `/${action}`, JSON.stringify({ ids }));
    const answer = await this.#read(response);
    if (response.statusCode === 200) return answer;
    throw new Error(`The relay did not ${action}: ${(answer as { error?: string }).error}`);
  }

  async #ask(method: 'GET' | 'POST', path: string, body?: string): Promise<IncomingMessage> {
    const response = await this.#reach(method, path, body);
    if (response.statusCode !== FAILED) return response;
    throw new Error(`The relay has a fault of its own, see its log: ${(await text(response)).trim()}`);
  }

  async #reach(method: 'GET' | 'POST', path: string, body?: string): Promise<IncomingMessage> {
    const options = { socketPath: join(this.#stateDir, CONTROL_SOCKET), method, path };
    const mayComeBack = existsSync(this.#stateDir);
    for (let waited = 0; ; waited += AGAIN_MS) {
      try {
        return await asked(options, body);
      } catch (error) {
        const { code = '', message } = error as NodeJS.ErrnoException;
        if (!AWAY.includes(code) || !mayComeBack || waited >= PATIENCE_MS)
          throw new Error(this.#explain(code, message));
        await sleep(AGAIN_MS);
      }
    }
  }

  async #read(response: IncomingMessage): Promise<unknown> {
    try {
      return await json(response);
    } catch (error) {
      throw this.#cutOff(error as Error);
    }
  }

  #cutOff({ message }: Error): Error {
    return new Error(this.#explain('', message));
  }

  #explain(code: string, message: string): string {
    const where = `"${this.#stateDir}"`;
    switch (code) {
      case 'ENOENT':
      case 'ECONNREFUSED':
        return `No relay with a queue runs with the state folder ${where}: start it, or name the folder of the one that runs by --state DIR; a pod that hands its queue over has no queue tools`;
      case 'EACCES':
        return `You may not use the queue in ${where}: run this as the user of the relay`;
      case 'EINVAL':
        return `The path ${where} is too long for the socket of a queue (about 95 characters): choose a shorter state folder`;
      default:
        return `The relay in ${where} ended in the middle of the answer, ask again: ${message}`;
    }
  }
}

/** Throws if the response is cut off. The iterator of node:readline would just end. */
async function* splitLines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

function asked(options: RequestOptions, body: string | undefined): Promise<IncomingMessage> {
  const sent = request({ ...options, agent: false });
  sent.end(body);
  return answerTo(sent, AbortSignal.timeout(ANSWER_MS));
}
