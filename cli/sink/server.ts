/**
 * A next hop for trying things, of smtp-server: it takes every message for every recipient, with any login, and passes
 * nothing on. It answers 250 when the message is in its folder.
 */
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { SMTPServer, SMTPServerDataStream, SMTPServerOptions, SMTPServerSession } from 'smtp-server';
import { QuotedServer } from './quoted.ts';
import { SinkStore } from './store.ts';
import { findSubject } from './subject.ts';
import type { TakenMessage } from './taken.ts';

export type SinkTlsMode = 'starttls' | 'implicit' | 'none';

export interface SinkOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls: SinkTlsMode;
  readonly pair: { readonly cert: string; readonly key: string } | undefined;
  readonly folder: string;
  readonly onMessage: (message: TakenMessage) => void;
}

export interface Sink {
  readonly port: number;
  /** Ends at once; open connections are cut. */
  stop(): void;
}

/** Rejects with an error of the system if the folder cannot be written to, or the port is in use. */
export async function startSink({ address, port, tls, pair, folder, onMessage }: SinkOptions): Promise<Sink> {
  const store = new SinkStore(folder);
  const secured = new WeakMap<SMTPServerSession, TakenMessage['tls']>();
  const server = new QuotedServer({
    ...encrypt(tls, pair),
    authOptional: true,
    disableReverseLookup: true,
    logger: false,
    onAuth: ({ username = '' }, _session, callback) => callback(null, { user: username }),
    onSecure: (socket, session, callback) => {
      secured.set(session, describeTls(socket as TLSSocket));
      callback();
    },
    onData: (stream, session, callback) => {
      take(stream, session, store, secured.get(session) ?? null).then((message) => {
        onMessage(message);
        callback(null, `Ok: kept as ${message.number}`);
      }, callback);
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // Without an address Node takes "::", and "0.0.0.0" where there is no IPv6.
    server.listen(port, address === '::' ? undefined : address, () => {
      server.off('error', reject);
      // A client that breaks off is no fault of the sink.
      server.on('error', () => undefined);
      resolve();
    });
  });
  const bound = server.server.address() as AddressInfo;
  return { port: bound.port, stop: () => stop(server) };
}

function encrypt(tls: SinkTlsMode, pair: SinkOptions['pair']): SMTPServerOptions {
  if (tls === 'none' || !pair) return { disabledCommands: ['STARTTLS'], allowInsecureAuth: true };
  return { ...pair, secure: tls === 'implicit', requestCert: true, rejectUnauthorized: false };
}

function stop(server: SMTPServer): void {
  server.server.close();
  for (const { _socket } of server.connections) _socket.destroy();
}

async function take(
  stream: SMTPServerDataStream,
  session: SMTPServerSession,
  store: SinkStore,
  tls: TakenMessage['tls'],
): Promise<TakenMessage> {
  const bytes = Buffer.concat(await stream.toArray());
  const { mailFrom, rcptTo } = session.envelope;
  return store.keep(bytes, {
    time: new Date().toISOString(),
    client: session.remoteAddress,
    helo: session.hostNameAppearsAs || '',
    user: typeof session.user === 'string' ? session.user : null,
    from: mailFrom === false ? '' : mailFrom.address,
    to: rcptTo.map(({ address }) => address),
    subject: findSubject(bytes),
    bytes: bytes.length,
    tls,
  });
}

function describeTls(socket: TLSSocket): TakenMessage['tls'] {
  const { CN } = socket.getPeerCertificate()?.subject ?? {};
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    serverName: socket.servername || null,
    clientCertificate: CN === undefined ? null : String(CN),
  };
}
