/**
 * Makes one connection to a next hop over nodemailer's SMTPConnection, by a plan of tlsplan.ts: up to the reply to
 * EHLO, encrypted as planned. A failure is a value that says whether it was the handshake that broke, because only that
 * may ever be followed by plain text.
 */
import { checkServerIdentity, type PeerCertificate, type TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import type { NextHop, TlsFacts } from './courier.ts';
import type { TlsPlan } from './tlsplan.ts';
import type { TlsContexts } from './trust.ts';

/** From the look-up of the name to the end of the handshake. */
const CONNECT_MS = 60_000;
/** RFC 5321 section 4.5.3.2.6: ten minutes for the reply to the final dot. */
const SILENCE_MS = 10 * 60_000;

export interface Session {
  readonly connection: SMTPConnection;
  tls: TlsFacts | null;
  /** Messages that were offered over it. */
  used: number;
  /** True once the connection has ended, for whatever reason. */
  broken: boolean;
}

export type Opened =
  | { kind: 'session'; session: Session }
  | { kind: 'failed'; reason: string; brokenHandshake: boolean };

export interface Connecting {
  readonly opened: Promise<Opened>;
  abort(): void;
}

export interface SmtpError extends Error {
  readonly responseCode?: number | undefined;
  readonly response?: string | undefined;
  readonly code?: string | undefined;
}

export function connect(hop: NextHop, plan: TlsPlan, hostname: string, contexts: TlsContexts): Connecting {
  const connection = new SMTPConnection({
    host: hop.host,
    port: hop.port,
    name: hostname,
    secure: plan.secure,
    ignoreTLS: plan.ignoreTLS,
    requireTLS: plan.requireTLS,
    opportunisticTLS: plan.opportunisticTLS,
    // Loopback and cluster addresses are next hops like any other: the manifest names them on purpose.
    allowInternalNetworkInterfaces: true,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    logger: false,
    tls: {
      secureContext: plan.rejectUnauthorized ? contexts.verifying : contexts.unverifying,
      rejectUnauthorized: plan.rejectUnauthorized,
      ...(hop.mxOf === undefined ? {} : { checkServerIdentity: identityOf(hop.mxOf) }),
    },
  });
  const { promise, resolve } = Promise.withResolvers<Opened>();
  const session: Session = { connection, tls: null, used: 0, broken: false };
  const ended = (error: SmtpError) => {
    if (session.broken) return;
    session.broken = true;
    // Asked before closing; after the session was given out this only marks it.
    const brokenHandshake = isInHandshake(connection, plan);
    connection.close();
    resolve({ kind: 'failed', reason: reasonOf(error, hop, brokenHandshake), brokenHandshake });
  };
  connection.on('error', ended);
  connection.on('end', () => ended(new Error('the connection was closed')));
  connection.connect((error) => {
    if (error) ended(error);
    else {
      session.tls = tlsFactsOf(connection, plan);
      resolve({ kind: 'session', session });
    }
  });
  return { opened: promise, abort: () => ended(new Error('the router is stopping')) };
}

/** During STARTTLS the library says so itself; with implicit TLS it is everything before the greeting. */
function isInHandshake(connection: SMTPConnection, { secure }: TlsPlan): boolean {
  const { upgrading, stage } = connection as { upgrading?: boolean; stage?: string };
  return upgrading === true || (secure && stage === 'init');
}

/** As Postfix's "secure": the domain itself, or a host below it; never a name that only DNS vouches for. */
function identityOf(domain: string): (host: string, certificate: PeerCertificate) => Error | undefined {
  return (host, certificate) => {
    const own = checkServerIdentity(domain, certificate);
    if (!own || !host.endsWith(`.${domain}`)) return own;
    return checkServerIdentity(host, certificate);
  };
}

function reasonOf(error: SmtpError, hop: NextHop, brokenHandshake: boolean): string {
  const where = `${hop.host}:${hop.port}`;
  const said = oneLine(error.message);
  const aboutTls = brokenHandshake || error.code === 'ETLS';
  return aboutTls
    ? `4.7.5 ${where}: TLS level ${hop.tlsLevel} is not met: ${said}`
    : `4.4.1 ${where}: ${said}`;
}

export function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').slice(0, 300);
}

function tlsFactsOf(connection: SMTPConnection, plan: TlsPlan): TlsFacts | null {
  if (!connection.secure) return null;
  const socket = connection._socket as TLSSocket;
  const version = socket.getProtocol() ?? 'unknown';
  return { version, cipher: socket.getCipher()?.name ?? 'unknown', verified: plan.rejectUnauthorized };
}
