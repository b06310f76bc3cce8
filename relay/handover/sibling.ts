/**
 * One sibling, as the pod in evacuation sees it: a few pinned connections, and a pause that grows while the sibling
 * cannot be reached. An offer without an answer differs from an offer that was never sent. Only an unsent offer may go
 * to another sibling, because an unanswered one may have arrived.
 */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { encodeRecord } from '../spool/record.ts';
import type { Loaded } from '../spool/spool.ts';
import type { PairText } from '../task/messages.ts';
import { HEADERS, ON_ITS_WAY, POLICIES_PATH, printEntryPath } from './entry.ts';
import { connectPinned } from './pin.ts';

const ANSWER_MS = 60_000;
const NO_ANSWER = `no answer within ${ANSWER_MS / 1000} s`;
const PAUSE_FIRST_MS = 500;
const PAUSE_LAST_MS = 30_000;

export interface Address {
  readonly host: string;
  readonly port: number;
}

type Sizes = Readonly<Record<string, number>>;

export type Offered =
  /** The entry is durable at the sibling. */
  | { kind: 'taken' }
  /** The sibling refused this entry and does not have it. Another sibling may take it. */
  | { kind: 'refused'; reason: string }
  /** The sibling cannot take entries now and does not have this one. It is not asked for a while. */
  | { kind: 'away'; reason: string }
  /** The sibling may have the entry, so the same sibling is asked again. */
  | { kind: 'unanswered'; reason: string };

export class Sibling {
  readonly address: Address;
  readonly #agent: PinnedAgent;
  readonly #clock: () => number;
  #failures = 0;
  #pausedUntil = 0;
  /** Why the last offer failed. Undefined while the sibling takes entries. */
  fault: string | undefined;

  constructor(address: Address, pair: PairText, clock: () => number) {
    this.address = address;
    this.#agent = new PinnedAgent(pair);
    this.#clock = clock;
  }

  /** When the sibling may be asked again. A time in the past means now. */
  get askAgainAt(): number {
    return this.#pausedUntil;
  }

  async offer({ id, record, open }: Loaded & { kind: 'message' }): Promise<Offered> {
    const head = encodeRecord(record);
    const sizes = { [HEADERS.recordBytes]: head.length, [HEADERS.bodyBytes]: record.bytes };
    return this.#put(printEntryPath(id), sizes, (call) => {
      call.write(head);
      pipeline(open(), call).catch((error: Error) => call.destroy(error));
    });
  }

  /** A sibling that has them already takes them again. */
  async offerPolicies(policies: string): Promise<Offered> {
    const bytes = Buffer.byteLength(policies);
    return this.#put(POLICIES_PATH, { [HEADERS.bodyBytes]: bytes }, (call) => call.end(policies));
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Offers that ran at the same time count as one failure. */
  #learn(offered: Offered): void {
    const now = this.#clock();
    if (offered.kind === 'taken') {
      this.#failures = 0;
      this.fault = undefined;
      return;
    }
    this.fault = offered.reason;
    if (offered.kind === 'refused' || now < this.#pausedUntil) return;
    this.#failures += 1;
    this.#pausedUntil = now + Math.min(PAUSE_FIRST_MS * 2 ** (this.#failures - 1), PAUSE_LAST_MS);
  }

  async #put(path: string, sizes: Sizes, send: (call: ClientRequest) => void): Promise<Offered> {
    const offered = await this.#ask(path, sizes, send);
    this.#learn(offered);
    return offered;
  }

  async #ask(path: string, sizes: Sizes, send: (call: ClientRequest) => void): Promise<Offered> {
    const call = request({
      ...this.address,
      agent: this.#agent,
      method: 'PUT',
      path,
      headers: {
        // A refusal then costs no body and is never in doubt.
        expect: '100-continue',
        'transfer-encoding': 'chunked',
        ...sizes,
      },
    });
    call.setTimeout(ANSWER_MS, () => call.destroy(new Error(NO_ANSWER)));
    let sent = false;
    call.once('continue', () => {
      sent = true;
      send(call);
    });
    call.flushHeaders();
    try {
      const response = await responseTo(call);
      const answer = await text(response);
      if (!sent) call.end();
      const { statusCode = 0 } = response;
      if (statusCode < 300) return { kind: 'taken' };
      // An earlier offer is under way there and may arrive.
      if (statusCode === ON_ITS_WAY) return { kind: 'unanswered', reason: answer.trim() };
      return { kind: statusCode < 500 ? 'refused' : 'away', reason: answer.trim() };
    } catch (error) {
      call.destroy();
      return { kind: sent ? 'unanswered' : 'away', reason: (error as Error).message };
    }
  }
}

/** Always settles. The timer of the request itself begins with its connection. */
function responseTo(call: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(NO_ANSWER)), ANSWER_MS);
    call.once('socket', (socket) => {
      clearTimeout(late);
      // The request hears nothing of a connection that ended before it had it.
      if (socket.destroyed) reject(new Error('the connection ended'));
    });
    call.once('response', resolve);
    call.on('error', (error) => {
      clearTimeout(late);
      reject(error);
    });
  });
}

/**
 * Keeps the connections of the offers, which the giver limits. Each peer was checked before anything was sent. The agent
 * has no limit of its own, because requests that wait for a connection in it hear of no failure.
 */
class PinnedAgent extends Agent {
  readonly #pair: PairText;

  constructor(pair: PairText) {
    super({ keepAlive: true });
    this.#pair = pair;
  }

  override createConnection(
    { host, port }: { host?: string | null; port?: number | string | null },
    done: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    connectPinned(this.#pair, { host: host ?? '', port: Number(port) }).then(
      (socket) => done(null, socket),
      // The type of Node's callback demands a socket beside the error.
      (error: Error) => (done as (error: Error) => void)(error),
    );
  }
}
