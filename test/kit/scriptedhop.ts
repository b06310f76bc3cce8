/** A next hop that answers by a script: any codes, cut into any pieces, with any end, and with a reply too many. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import type { Pair } from './ca.ts';

/** `cut off`: in the middle of the reply. `joined`: in one write with the reply before. */
type End = 'end' | 'joined' | 'reset' | 'cut off';

/** The replies to one message, in order: to MAIL, to each RCPT, to DATA, and to its end. Each says what it answers. */
export interface Script {
  readonly mail: number;
  /** Their number is that of the recipients. */
  readonly rcpt: readonly number[];
  readonly data: number;
  /** LMTP: by recipient. SMTP: the first one. */
  readonly end: readonly number[];
  /** The connection ends before this reply. */
  readonly endsAt: { readonly place: number; readonly how: End } | null;
  /** One reply more, behind this one. */
  readonly extra: { readonly place: number; readonly code: number; readonly isLate: boolean } | null;
  /** Where the bytes of each write are cut. */
  readonly cuts: readonly number[];
}

export interface HopTerms {
  readonly protocol: 'SMTP' | 'LMTP';
  readonly offers: 'PIPELINING' | 'SIZE';
  /** Absent: plain text. */
  readonly pair?: Pick<Pair, 'cert' | 'key'> | undefined;
}

export const isTaken = (code: number) => code < 300;

/** Enough for what was written before to arrive by itself. */
const LATER_MS = 20;

export class ScriptedHop {
  readonly #terms: HopTerms;
  readonly #sockets: Socket[] = [];
  readonly #close: () => void;
  readonly port: number;
  script: Script;
  /** How many messages it took, by script. */
  readonly taken = new Map<Script, number>();

  private constructor(terms: HopTerms, script: Script, port: number, close: () => void) {
    this.#terms = terms;
    this.script = script;
    this.port = port;
    this.#close = close;
  }

  static async start(terms: HopTerms, script: Script): Promise<ScriptedHop> {
    const serve = (socket: Socket) => hop.#serve(socket);
    const server = terms.pair ? createTlsServer(terms.pair, serve) : createServer(serve);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const hop = new ScriptedHop(terms, script, (server.address() as AddressInfo).port, () => server.close());
    return hop;
  }

  #serve(socket: Socket): void {
    this.#sockets.push(socket);
    new Session(socket, this, this.#terms);
  }

  close(): void {
    this.#close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

class Session {
  readonly #socket: Socket;
  readonly #hop: ScriptedHop;
  readonly #terms: HopTerms;
  #rest = '';
  #isInMessage = false;
  #isOver = false;
  /** The number of the next reply to the message. */
  #place = 0;
  #accepted: number[] = [];
  #work = Promise.resolve();

  constructor(socket: Socket, hop: ScriptedHop, terms: HopTerms) {
    this.#socket = socket;
    this.#hop = hop;
    this.#terms = terms;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => this.#read(String(chunk)));
    this.#write('220 hop\r\n');
  }

  #read(text: string): void {
    const lines = `${this.#rest}${text}`.split('\r\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!this.#isInMessage) this.#command(line);
      else if (line === '.') this.#endMessage();
    }
  }

  #command(line: string): void {
    const { mail, rcpt, data } = this.#hop.script;
    if (/^(EHLO|LHLO)/.test(line)) this.#write(`250-hop\r\n250 ${this.#terms.offers}\r\n`);
    else if (line.startsWith('MAIL')) {
      this.#place = 0;
      this.#accepted = [];
      this.#say(mail, 'mail');
    } else if (line.startsWith('RCPT')) {
      const index = this.#place - 1;
      const code = isTaken(mail) ? (rcpt[index] ?? 500) : 503;
      if (isTaken(code)) this.#accepted.push(index);
      this.#say(code, `r${index}`);
    } else if (line === 'DATA') {
      this.#place = rcpt.length + 1;
      const code = this.#accepted.length > 0 ? data : 503;
      this.#isInMessage = code < 400;
      this.#say(code, 'data');
    } else if (line === 'QUIT') this.#write('221 bye\r\n', 'end');
  }

  #endMessage(): void {
    const { script, taken } = this.#hop;
    const { end } = script;
    this.#isInMessage = false;
    if (this.#terms.protocol === 'LMTP') {
      for (const index of this.#accepted) this.#say(end[index] ?? 500, `end${index}`);
      return;
    }
    const [code = 500] = end;
    if (isTaken(code)) taken.set(script, (taken.get(script) ?? 0) + 1);
    this.#say(code, 'end');
  }

  /** A code that is odd has two lines. */
  #say(code: number, about: string): void {
    const { endsAt, extra } = this.#hop.script;
    const place = this.#place++;
    const last = `${code} ${about}.\r\n`;
    const reply = code % 2 === 1 ? `${code}-${about}.\r\n${last}` : last;
    const isLast = endsAt?.place === place + 1 && endsAt.how === 'joined';
    if (endsAt?.place === place) this.#write(endsAt.how === 'cut off' ? reply.slice(0, -3) : '', endsAt.how);
    else if (extra?.place !== place) this.#write(reply, code === 421 || isLast ? 'end' : undefined);
    else {
      const end = extra.code === 421 ? 'end' : undefined;
      const more = `${extra.code} extra.\r\n`;
      this.#write(extra.isLate ? reply : `${reply}${more}`, extra.isLate ? undefined : end);
      if (extra.isLate) this.#write(more, end, LATER_MS);
    }
  }

  /** All writes of a session are in order. */
  #write(bytes: string, end?: End, afterMs = 0): void {
    if (this.#isOver) return;
    this.#isOver = end !== undefined;
    const { cuts } = this.#hop.script;
    this.#work = this.#work.then(async () => {
      if (afterMs > 0) await pause(afterMs);
      let from = 0;
      for (const cut of cuts.filter((at) => at > 0 && at < bytes.length)) {
        this.#socket.write(bytes.slice(from, cut));
        await pause(1);
        from = cut;
      }
      // One write with the end, where there is one.
      if (end === 'reset') {
        // It would take with it what has not been read.
        await pause(LATER_MS);
        this.#socket.destroy();
      } else if (end) this.#socket.end(bytes.slice(from));
      else this.#socket.write(bytes.slice(from));
    });
  }
}
