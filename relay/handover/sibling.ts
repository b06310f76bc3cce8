/**
 * One sibling, as the pod in evacuation sees it: a few pinned connections, and a pause that grows while the sibling
 * cannot be reached. An offer without an answer differs from one that was refused or never sent: it may have arrived, so
 * it may not go to another sibling.
 */
import { Agent, type ClientRequest, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encodeRecord } from '../spool/record.ts';
import type { Loaded } from '../spool/spool.ts';
import { answerTo, readBody } from '../task/httpanswer.ts';
import type { PairText } from '../task/messages.ts';
import { HEADERS, NO_ROOM, ON_ITS_WAY, POLICIES_PATH, printEntryPath } from './entry.ts';
import { connectPinned } from './pin.ts';

const ANSWER_MS = 60_000;
const NO_ANSWER = `no answer within ${ANSWER_MS / 1000} s`;
const ANSWER_BYTES = 64 * 1024;
const PAUSE_FIRST_MS = 500;
const PAUSE_LAST_MS = 30_000;
const ROOMLESS_MS = 2_000;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Large entries that find no room: none of this size or more is offered until then. */
interface Roomless {
  readonly bytes: number;
  readonly until: number;
  readonly reason: string;
}

type Sizes = Readonly<Record<string, number>>;
/** Sends the body, and tells that it goes on. */
type Send = (call: ClientRequest, goesOn: () => void) => void;

export type Offered =
  /** The entry is durable at the sibling. */
  | { kind: 'taken' }
  /** The sibling refused this entry and does not have it. Another sibling may take it. */
  | { kind: 'refused'; reason: string }
  /** The same, because there is no room for it. There may be room for a smaller one. */
  | { kind: 'noRoom'; reason: string }
  /** The sibling cannot take entries now. This offer left nothing there; an earlier one may have. It is not asked for a while. */
  | { kind: 'away'; reason: string }
  /** The sibling may have the entry, so the same sibling is asked again. */
  | { kind: 'unanswered'; reason: string }
  /** The same, by an earlier offer. The sibling itself is well: it takes other entries. */
  | { kind: 'onItsWay'; reason: string };

export function isInDoubt({ kind }: Offered): boolean {
  return kind === 'unanswered' || kind === 'onItsWay';
}

export class Sibling {
  readonly address: Address;
  readonly #agent: PinnedAgent;
  readonly #clock: () => number;
  #failures = 0;
  #pausedUntil = 0;
  #roomless: Roomless | undefined;
  #fault: string | undefined;

  constructor(address: Address, pair: PairText, clock: () => number) {
    this.address = address;
    this.#agent = new PinnedAgent(pair);
    this.#clock = clock;
  }

  /** When the sibling may be asked again. A time in the past means now. */
  get askAgainAt(): number {
    return this.#pausedUntil;
  }

  /** True if the sibling may be asked now for an entry with a body of this size. */
  mayTake(bytes: number): boolean {
    const now = this.#clock();
    return (
      this.#pausedUntil <= now &&
      !(this.#roomless && bytes >= this.#roomless.bytes && now < this.#roomless.until)
    );
  }

  /** Why entries stay here. Undefined while the sibling takes all of them. */
  get fault(): string | undefined {
    return this.#fault ?? this.#roomless?.reason;
  }

  async offer({ id, record, open }: Loaded & { kind: 'message' }): Promise<Offered> {
    const head = encodeRecord(record);
    const { bytes, body } = record;
    const sizes = { [HEADERS.recordBytes]: head.length, [HEADERS.bodyBytes]: bytes };
    const offered = await this.#ask(printEntryPath(id), sizes, (call, goesOn) => {
      call.write(head);
      pipeline(open(), (pieces) => watch(pieces, goesOn), call).catch((error: Error) => call.destroy(error));
    });
    // Where a small one finds no room, none does.
    if (offered.kind === 'noRoom' && body === 'file') this.#lacksRoom(bytes, offered.reason);
    else this.#learn(offered);
    if (offered.kind === 'taken' && this.#roomless && bytes >= this.#roomless.bytes)
      this.#roomless = undefined;
    return offered;
  }

  /** A sibling that has them already takes them again. */
  async offerPolicies(policies: string): Promise<Offered> {
    const bytes = Buffer.byteLength(policies);
    const offered = await this.#ask(POLICIES_PATH, { [HEADERS.bodyBytes]: bytes }, (call) =>
      call.end(policies),
    );
    this.#learn(offered);
    return offered;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Offers that ran at the same time count as one failure. */
  #learn(offered: Offered): void {
    const now = this.#clock();
    if (offered.kind === 'taken') {
      this.#failures = 0;
      this.#fault = undefined;
      return;
    }
    this.#fault = offered.reason;
    const isOfThisEntry = offered.kind === 'refused' || offered.kind === 'onItsWay';
    if (isOfThisEntry || now < this.#pausedUntil) return;
    this.#failures += 1;
    this.#pausedUntil = now + Math.min(PAUSE_FIRST_MS * 2 ** (this.#failures - 1), PAUSE_LAST_MS);
  }

  /** It is there, so a fault of before is over. */
  #lacksRoom(bytes: number, reason: string): void {
    const now = this.#clock();
    this.#fault = undefined;
    const known = this.#roomless && now < this.#roomless.until ? this.#roomless.bytes : bytes;
    this.#roomless = { bytes: Math.min(known, bytes), until: now + ROOMLESS_MS, reason };
  }

  async #ask(path: string, sizes: Sizes, send: Send): Promise<Offered> {
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
    // The sibling has so long for each step: to want the body, to take a next piece of it, and to answer after the last.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), ANSWER_MS);
    let sent = false;
    call.once('continue', () => {
      sent = true;
      timer.refresh();
      send(call, () => timer.refresh());
    });
    call.flushHeaders();
    try {
      const response = await answerTo(call, late.signal);
      const answer = await readBody(response, ANSWER_BYTES, late.signal);
      if (!sent) call.end();
      return judge(response.statusCode ?? 0, answer.toString().trim(), sent);
    } catch (error) {
      call.destroy();
      const reason = late.signal.aborted ? NO_ANSWER : (error as Error).message;
      return { kind: sent ? 'unanswered' : 'away', reason };
    } finally {
      clearTimeout(timer);
    }
  }
}

/** `sent`: the sibling wanted the body. */
function judge(status: number, reason: string, sent: boolean): Offered {
  if (status < 300) return { kind: 'taken' };
  // Where it wanted the body, its disk does not confirm what it took, so the next entry would be in doubt too.
  if (status === ON_ITS_WAY) return { kind: sent ? 'unanswered' : 'onItsWay', reason };
  if (status === NO_ROOM) return { kind: 'noRoom', reason };
  return { kind: status < 500 ? 'refused' : 'away', reason };
}

/** Tells of each piece that is wanted. */
async function* watch(body: AsyncIterable<Buffer>, goesOn: () => void): AsyncGenerator<Buffer> {
  for await (const piece of body) {
    goesOn();
    yield piece;
  }
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
