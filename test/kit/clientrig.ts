/**
 * Messages that the client of a router sends to hops on this machine: servers that take mail, and peers made by hand. What
 * is opened here ends with the tests of the file.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after } from 'node:test';
import { createSecureContext, TLSSocket } from 'node:tls';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { HopResult } from '#relay/delivery/attempt.ts';
import { AttemptBudget } from '#relay/delivery/budget.ts';
import type { NextHop, Parcel } from '#relay/delivery/courier.ts';
import type { Verdict } from '#relay/delivery/verdict.ts';
import { type Materials, NO_MATERIALS } from '#relay/task/materials.ts';
import type { Pair } from './ca.ts';
import { clientWith, wayTo } from './hopway.ts';
import { makeParcel } from './relayrig.ts';

export const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

export function parcel(changes: Partial<Parcel> = {}): Parcel {
  const text = 'Subject: x\r\n\r\n.dot\r\nend\r\n';
  return makeParcel(text, {
    body: () => Readable.from([Buffer.from(text)], { objectMode: false }),
    ...changes,
  });
}

/** A client that sends to hops on this machine, whatever their names are. */
export function courier(materials = NO_MATERIALS) {
  const client = clientWith(materials);
  ends.push(() => client.close());
  return {
    deliver: async (hop: NextHop, what: Parcel): Promise<HopResult> => {
      const budget = new AttemptBudget();
      const way = wayTo(hop);
      const resumed = await client.resume(way, what, budget);
      const result = resumed ?? (await client.deliver(way, '127.0.0.1', what, budget));
      budget.close();
      return result;
    },
    useMaterials: (materials: Materials) => client.useMaterials(materials),
    close: () => client.close(),
  };
}

interface Arrived {
  readonly from: string;
  readonly to: readonly string[];
  readonly body: string;
  readonly secure: boolean;
}

interface Sink {
  readonly port: number;
  readonly mail: Arrived[];
  /** Resolves when there are at least `count`. */
  until(count: number): Promise<void>;
  close(): void;
}

/** A next hop that takes everything, or only what `options` allow. */
async function openSink(options: SMTPServerOptions = {}, port = 0): Promise<Sink> {
  const mail: Arrived[] = [];
  let wake: () => void = () => undefined;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: options.key ? ['AUTH'] : ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onData: (stream, { envelope, secure }, callback) => {
      buffer(stream).then((body) => {
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
        mail.push({ from, to: envelope.rcptTo.map(({ address }) => address), body: body.toString(), secure });
        callback(null, 'taken');
        wake();
      }, callback);
    },
    ...options,
  });
  server.on('error', () => undefined);
  const listening = server.listen(port, '127.0.0.1');
  await once(listening, 'listening');
  return {
    port: (listening.address() as AddressInfo).port,
    mail,
    until: async (count) => {
      while (mail.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close: () => {
      server.close();
      for (const connection of server.connections) connection.close();
    },
  };
}

export async function sink(...args: Parameters<typeof openSink>): Promise<Sink> {
  const opened = await openSink(...args);
  ends.push(() => opened.close());
  return opened;
}

type Answer = (line: string, socket: Socket) => string | undefined;

/** A hand-made peer. It answers each line by the first rule that matches, and records the lines. */
export async function peer(answer: Answer) {
  const lines: string[] = [];
  const server: Server = createServer((socket) => {
    socket.write('220 peer\r\n');
    converse(socket, lines, answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, lines };
}

function converse(socket: Socket, lines: string[], answer: Answer): void {
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
      lines.push(line);
      const reply = answer(line, socket);
      if (reply !== undefined) socket.write(`${reply}\r\n`);
    }
  });
}

/** A peer that has TLS from STARTTLS on, and other answers there. It takes everything else. */
export async function starttlsPeer(pair: Pick<Pair, 'cert' | 'key'>, clear: Answer, secure: Answer) {
  const secureContext = createSecureContext(pair);
  const opened = await peer((line, socket) => {
    if (line !== 'STARTTLS') return clear(line, socket) ?? takeMail(line);
    socket.write('220 go on\r\n');
    socket.removeAllListeners('data');
    const under = new TLSSocket(socket, { isServer: true, secureContext });
    converse(under, opened.lines, (said) => secure(said, under) ?? takeMail(said));
    return undefined;
  });
  return opened;
}

function takeMail(line: string): string | undefined {
  if (line === 'DATA') return '354 go on';
  return /^(HELO|MAIL|RCPT|QUIT|\.$)/.test(line) ? '250 ok' : undefined;
}

function nameVerdict(verdict: Verdict): string {
  if (verdict.kind === 'delivered') return 'delivered';
  return verdict.failure.permanent ? 'refused' : 'deferred';
}

export function summary(result: HopResult): string {
  if (result.kind === 'unreachable') return `unreachable ${result.failure.status}`;
  const how = result.tls ? (result.tls.verified ? 'verified' : 'encrypted') : 'plain';
  return `${result.verdicts.map(nameVerdict).join(',')} ${how}`;
}
