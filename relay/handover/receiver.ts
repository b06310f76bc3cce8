/**
 * The receiving side. It takes queue entries from a sibling in evacuation, and acknowledges each one when it is durable
 * here. A repeated entry is acknowledged and not entered twice. A peer without the certificate of this relay is cut off
 * before a byte is read. A refused entry leaves nothing behind and is answered with the reason, and the sibling keeps
 * it.
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { isDiskFull } from '#crds/systemwords.ts';
import { POLICIES_AT_MOST } from '../mtasts/handover.ts';
import type { Log } from '../observe/log.ts';
import { decodeRecord, type QueueRecord } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import { monotonic } from '../task/clock.ts';
import type { PairText } from '../task/messages.ts';
import { Strangers } from '../task/strangers.ts';
import { Entered } from './entered.ts';
import {
  HEADERS,
  NO_ROOM,
  ON_ITS_WAY,
  POLICIES_PATH,
  parseEntryPath,
  RECORD_AT_MOST,
  splitRecord,
} from './entry.ts';
import { acceptPinned, makePin, type Pin, Stranger } from './pin.ts';

/** A sibling that is silent for this long has gone. */
const SILENT_MS = 60_000;
/** For all siblings together. Each opens a few. */
const CONNECTIONS = 64;

export interface ReceiverOptions {
  readonly spool: Spool;
  readonly pair: PairText;
  readonly log: Log;
  /** The entry is durable: the router may deliver it. */
  readonly onEntered: (id: string) => void;
  /** Resolves with the number of MTA-STS policies in the text when they are durable. Rejects if it has none. */
  readonly keepPolicies: (text: string) => Promise<number>;
}

type Answer = { readonly code: number; readonly text: string };

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #server: Server;
  readonly #underWay = new Set<string | IncomingMessage>();
  readonly #open = new Set<TLSSocket>();
  readonly #strangers = new Strangers();
  readonly #entered = new Entered(monotonic);
  #pin: Pin;
  #isDraining = false;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#pin = makePin(options.pair);
    this.#server = createServer();
    this.#server.setTimeout(SILENT_MS);
    this.#server.on('clientError', (_error, socket) => socket.destroy());
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    this.#server.on('request', answer);
    this.#server.on('checkContinue', answer);
  }

  /** Takes an accepted socket before anything was read. */
  receive(raw: Socket): void {
    const client = raw.remoteAddress ?? '';
    const { socket, proven } = acceptPinned(this.#pin, raw);
    const isOut = this.#strangers.add(client, () => socket.destroy());
    proven.then(
      () => this.#welcome(socket),
      (error: Error) => {
        if (error instanceof Stranger) this.#options.log('handover_stranger', { client });
      },
    );
    proven.then(isOut, isOut);
  }

  /** Sets the pair for the next connections. */
  usePair(pair: PairText): void {
    this.#pin = makePin(pair);
  }

  get connections(): number {
    return this.#open.size + this.#strangers.size;
  }

  /** Nobody is connected, and no giver asks any more for an entry that this receiver has entered. */
  get isIdle(): boolean {
    return this.connections === 0 && this.#entered.isEmpty;
  }

  /** Takes nothing new. Resolves when the transfers under way have ended. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    while (this.#underWay.size > 0) await new Promise((tick) => setTimeout(tick, 10));
    this.#strangers.endAll();
    for (const socket of this.#open) socket.destroy();
  }

  /** The peer has our key, so the HTTP server reads its requests. */
  #welcome(socket: TLSSocket): void {
    if (this.#isDraining || this.#open.size >= CONNECTIONS) return void socket.destroy();
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    this.#server.emit('connection', socket);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { code, text } = await this.#take(request, response).catch((error: Error) => {
      this.#options.log('handover_failed', { message: error.message });
      if (error instanceof InDoubt) return NOT_CONFIRMED;
      // A quota shows only when somebody writes.
      return isDiskFull(error) ? NO_ROOM_LEFT : { code: 500, text: error.message };
    });
    if (response.destroyed) return;
    // Unread bytes would be parsed as the next request.
    if (!request.complete) response.setHeader('connection', 'close');
    response.writeHead(code, { 'content-type': 'text/plain' }).end(`${text}\n`);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    if (request.method === 'PUT' && request.url === POLICIES_PATH)
      return this.#takePolicies(request, response);
    const id = request.method === 'PUT' ? parseEntryPath(request.url) : undefined;
    const recordBytes = Number(request.headers[HEADERS.recordBytes]);
    const bodyBytes = Number(request.headers[HEADERS.bodyBytes]);
    if (id === undefined || !(recordBytes > 0 && recordBytes <= RECORD_AT_MOST) || !(bodyBytes >= 0))
      return refusal(400, 'not a queue entry');
    if (this.#underWay.has(id)) return refusal(ON_ITS_WAY, 'this entry is on its way already');
    this.#underWay.add(id);
    try {
      const refused = await this.#judge(id, recordBytes + bodyBytes);
      if (refused) return refused;
      if (request.headers.expect) response.writeContinue();
      const entering = this.#enter(id, request, recordBytes, bodyBytes);
      return await entering.finally(() => readAway(request, recordBytes + bodyBytes));
    } finally {
      this.#underWay.delete(id);
    }
  }

  /** Undefined if the entry should come. */
  async #judge(id: string, bytes: number): Promise<Answer | undefined> {
    const { spool } = this.#options;
    if (spool.isBroken) return refusal(503, 'the disk of this pod had an error');
    // First, because the sibling gives an entry that is refused to another one. It removes its copy of one that is known, so
    // the body counts too; and the process that wrote it may have died before its sync.
    if (spool.load(id).kind === 'message') {
      const isOnDisk = await spool.confirm(id).catch(() => undefined);
      // It is here, so no other sibling may have it, whatever the disk says of a change that was made with this one.
      if (isOnDisk === undefined) return NOT_CONFIRMED;
      if (isOnDisk) {
        this.#entered.add(id);
        return KNOWN;
      }
    }
    if (this.#entered.has(id) && this.#isDealtWith(id)) return KNOWN;
    if (this.#isDraining) return refusal(503, 'this pod leaves too');
    return spool.hasRoom(bytes) ? undefined : NO_ROOM_LEFT;
  }

  /** Perhaps while it was confirmed. What was set aside is not dealt with: the sibling has it whole. */
  #isDealtWith(id: string): boolean {
    const { spool } = this.#options;
    return spool.load(id).kind === 'gone' && !spool.listDamaged().includes(id);
  }

  async #takePolicies(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const { spool, keepPolicies, log } = this.#options;
    const bytes = Number(request.headers[HEADERS.bodyBytes]);
    if (!(bytes > 0 && bytes <= POLICIES_AT_MOST)) return refusal(400, 'not the policies of MTA-STS');
    if (this.#isDraining) return refusal(503, 'this pod leaves too');
    if (!spool.hasRoom(bytes)) return NO_ROOM_LEFT;
    this.#underWay.add(request);
    try {
      if (request.headers.expect) response.writeContinue();
      const policies = await keepPolicies(await readExactly(request, bytes));
      log('sts_policies_taken_over', { policies });
      return { code: 201, text: 'durable' };
    } finally {
      this.#underWay.delete(request);
    }
  }

  async #enter(
    id: string,
    request: IncomingMessage,
    recordBytes: number,
    bodyBytes: number,
  ): Promise<Answer> {
    const { spool, log, onEntered } = this.#options;
    const { record: text, rest } = await splitRecord(request, recordBytes);
    const decoded = decodeRecord(text);
    if (decoded.kind === 'damaged') return refusal(422, decoded.message);
    // The sibling has it whole, and keeps it until it is whole here. So what was entered before is known no more.
    this.#entered.forget(id);
    await spool.discard(id);
    spool.removeStray(id);
    const body = spool.bodyWriter(id);
    try {
      let bytes = 0;
      for await (const chunk of rest) {
        bytes += chunk.length;
        await body.write(chunk);
      }
      if (bytes !== bodyBytes || bytes !== decoded.record.bytes) throw new Error('the body is not whole');
      const sealed = await body.seal();
      await spool.enter(id, toEnvelope(decoded.record), sealed).catch(asInDoubt);
    } catch (error) {
      await spool.giveUp(id, body);
      throw error;
    }
    this.#entered.add(id);
    log('taken_over', { id });
    onEntered(id);
    return { code: 201, text: 'durable' };
  }
}

const NO_ROOM_LEFT = refusal(NO_ROOM, 'no room left on the disk of this pod');
const NOT_CONFIRMED = refusal(ON_ITS_WAY, 'the disk does not confirm this entry');
const KNOWN: Answer = { code: 200, text: 'known' };

/** The entry was perhaps committed. It is taken back, but the router or a crash may be faster. */
class InDoubt extends Error {}

/** Only SQLite has an error code of its own, and a commit that it refuses because the disk is full leaves nothing. */
function asInDoubt(error: Error): never {
  throw isDiskFull(error) && 'errcode' in error ? error : new InDoubt(error.message);
}

/**
 * Where bytes of a request are unread, the end of its connection is a reset, and the sibling may lose the answer. Never
 * rejects. A sibling that falls silent is cut off.
 */
async function readAway(request: IncomingMessage, atMost: number): Promise<void> {
  if (request.complete || request.destroyed) return;
  let read = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      read += chunk.length;
      if (read > atMost) return;
    }
  } catch {
    // The connection is gone, so nobody waits for the answer.
  }
}

function refusal(code: number, why: string): Answer {
  return { code, text: `${STATUS_CODES[code]}: ${why}` };
}

async function readExactly(request: IncomingMessage, bytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let read = 0;
  for await (const chunk of request) {
    read += chunk.length;
    if (read > bytes) break;
    chunks.push(chunk);
  }
  if (read !== bytes) throw new Error('the policies are not whole');
  return Buffer.concat(chunks).toString();
}

/** Each store decides where and how it keeps the body. */
function toEnvelope({ bytes: _bytes, crc: _crc, body: _body, ...envelope }: QueueRecord) {
  return envelope;
}
