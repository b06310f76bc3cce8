/**
 * The receiving end: takes queue entries of a sibling that leaves, and acknowledges each when it is durable here. The
 * same entry again is acknowledged and not entered twice. Whoever does not show the certificate of this relay is cut
 * off before a byte of his is read. What cannot be taken leaves nothing behind and is answered with the reason; the
 * sibling keeps it.
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
import type { Log } from '../observe/log.ts';
import { decodeRecord, type QueueRecord } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import type { PairText } from '../task/messages.ts';
import { HEADERS, idOf, RECORD_AT_MOST, splitRecord } from './entry.ts';
import { acceptPinned, type Pin, pinOf, Stranger } from './pin.ts';
import { Strangers } from './strangers.ts';

/** A sibling that says nothing for so long has gone. */
const SILENT_MS = 60_000;
/** Of all siblings together; each opens a few. */
const CONNECTIONS = 64;

export interface ReceiverOptions {
  readonly spool: Spool;
  readonly pair: PairText;
  readonly log: Log;
  /** It is durable: the router may have it. */
  readonly onEntered: (id: string) => void;
}

type Answer = { readonly code: number; readonly text: string };

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #server: Server;
  readonly #underWay = new Set<string>();
  readonly #open = new Set<TLSSocket>();
  readonly #strangers = new Strangers();
  #pin: Pin;
  #leaving = false;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#pin = pinOf(options.pair);
    this.#server = createServer();
    this.#server.setTimeout(SILENT_MS);
    this.#server.on('clientError', (_error, socket) => socket.destroy());
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    this.#server.on('request', answer);
    this.#server.on('checkContinue', answer);
  }

  /** An accepted socket, whatever comes over it. */
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

  /** For the next connections. */
  usePair(pair: PairText): void {
    this.#pin = pinOf(pair);
  }

  get connections(): number {
    return this.#open.size + this.#strangers.size;
  }

  /** Takes nothing more; resolves when what is under way has ended. */
  async drain(): Promise<void> {
    this.#leaving = true;
    while (this.#underWay.size > 0) await new Promise((tick) => setTimeout(tick, 10));
    this.#strangers.endAll();
    for (const socket of this.#open) socket.destroy();
  }

  /** It holds our key: the server reads what it says. */
  #welcome(socket: TLSSocket): void {
    if (this.#leaving || this.#open.size >= CONNECTIONS) return void socket.destroy();
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    this.#server.emit('connection', socket);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { code, text } = await this.#take(request, response).catch((error: Error) => {
      this.#options.log('handover_failed', { message: error.message });
      return { code: 500, text: error.message };
    });
    if (response.destroyed) return;
    // What was not read would be taken for the next request.
    if (!request.complete) response.setHeader('connection', 'close');
    response.writeHead(code, { 'content-type': 'text/plain' }).end(`${text}\n`);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const id = request.method === 'PUT' ? idOf(request.url) : undefined;
    const recordBytes = Number(request.headers[HEADERS.recordBytes]);
    const bodyBytes = Number(request.headers[HEADERS.bodyBytes]);
    if (id === undefined || !(recordBytes > 0 && recordBytes <= RECORD_AT_MOST) || !(bodyBytes >= 0))
      return refusal(400, 'not a queue entry');
    const { spool } = this.#options;
    if (this.#leaving) return refusal(503, 'this pod leaves too');
    if (this.#underWay.has(id)) return refusal(409, 'this entry is on its way already');
    if (spool.isBroken) return refusal(503, 'the disk of this pod had an error');
    if (!spool.hasRoom(recordBytes + bodyBytes)) return refusal(507, 'no room left on the disk of this pod');
    if (spool.read(id).kind === 'message') return { code: 200, text: 'known' };
    this.#underWay.add(id);
    try {
      if (request.headers.expect) response.writeContinue();
      return await this.#enter(id, request, recordBytes, bodyBytes);
    } finally {
      this.#underWay.delete(id);
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
    spool.removeStray(id);
    const body = spool.bodyWriter(id);
    try {
      let bytes = 0;
      for await (const chunk of rest) {
        bytes += chunk.length;
        await body.write(chunk);
      }
      if (bytes !== bodyBytes || bytes !== decoded.record.bytes) throw new Error('the body is not whole');
      await spool.enter(id, envelopeOf(decoded.record), await body.seal());
    } catch (error) {
      await body.discard();
      throw error;
    }
    log('taken_over', { id });
    onEntered(id);
    return { code: 201, text: 'durable' };
  }
}

function refusal(code: number, why: string): Answer {
  return { code, text: `${STATUS_CODES[code]}: ${why}` };
}

/** How and where the body lies is the affair of each store. */
function envelopeOf({ bytes: _bytes, crc: _crc, body: _body, ...envelope }: QueueRecord) {
  return envelope;
}
