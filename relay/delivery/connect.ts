/**
 * Makes one connection to a next hop over nodemailer's SMTPConnection, by a plan of tlsplan.ts: up to the reply to
 * EHLO, encrypted as planned, and logged in where the hop wants it. A failure is a value that says whether it was the
 * handshake that broke, because only that may ever be followed by plain text, or the login that was refused.
 */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, type SecureContext } from 'node:tls';
import { type Failure, type FailureCause, makeFailure, oneLine } from '#crds/failure.ts';
import type { SessionTrace } from '../observe/trace.ts';
import type { HopTls, NextHop } from './courier.ts';
import { HopConnection } from './hopconnection.ts';
import { type Login, renewsToken } from './hopcredentials.ts';
import type { TlsPlan } from './tlsplan.ts';

/** To the end of the handshake. */
const CONNECT_MS = 60_000;
/** RFC 5321 section 4.5.3.2.6: ten minutes for the reply to the final dot. */
const SILENCE_MS = 10 * 60_000;

export interface Session {
  readonly connection: HopConnection;
  tls: HopTls | null;
  /** Messages that were offered over it. */
  used: number;
  /** True once the connection has ended, for whatever reason. */
  broken: boolean;
  readonly trace: SessionTrace | undefined;
}

export type Opened =
  | { kind: 'session'; session: Session }
  | { kind: 'failed'; failure: Failure; brokenHandshake: boolean };

export interface Connecting {
  readonly opened: Promise<Opened>;
  abort(): void;
}

export interface SmtpError extends Error {
  readonly responseCode?: number | undefined;
  readonly response?: string | undefined;
  readonly code?: string | undefined;
  /** Where the library put its own code over another one. */
  readonly originalCode?: string | undefined;
  /** The command that was answered; "API" where none was said. */
  readonly command?: string | undefined;
}

export interface ConnectTerms {
  /** One of the hop's. The library gets no names: it would keep what it found for minutes, in an order of its own. */
  readonly address: string;
  readonly plan: TlsPlan;
  /** What we say in EHLO. */
  readonly hostname: string;
  readonly context: SecureContext;
  /** null: the hop wants none. */
  readonly login: Exclude<Login, { kind: 'unusable' }> | null;
  readonly trace: SessionTrace | undefined;
}

export function connect(hop: NextHop, terms: ConnectTerms): Connecting {
  const { address, plan, hostname, context, login, trace } = terms;
  const servername = hop.serverName ?? (isIP(hop.host) === 0 ? hop.host : undefined);
  const connection = new HopConnection({
    host: address,
    ...(servername === undefined ? {} : { servername }),
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
    ...(trace ? { logger: tracing(trace), transactionLog: true } : { logger: false }),
    tls: {
      secureContext: context,
      rejectUnauthorized: plan.rejectUnauthorized,
      ...(hop.mxOf === undefined || hop.serverName !== null
        ? {}
        : { checkServerIdentity: identityOf(hop.mxOf) }),
    },
  });
  const { promise, resolve } = Promise.withResolvers<Opened>();
  const session: Session = { connection, tls: null, used: 0, broken: false, trace };
  const ended = (error: SmtpError, loginRefused = false) => {
    if (session.broken) return;
    session.broken = true;
    trace?.ended(oneLine(error.message));
    // Asked before closing; after the session was given out this only marks it.
    const brokenHandshake = connection.isInHandshake;
    connection.close();
    const failure = loginRefused ? loginFailure(error, hop) : connectFailure(error, hop, brokenHandshake);
    resolve({ kind: 'failed', failure, brokenHandshake });
  };
  connection.on('error', ended);
  connection.on('end', () => ended(new Error('the connection was closed')));
  connection.connect((error) => {
    session.tls = error ? null : readHopTls(connection, plan);
    if (session.tls) trace?.tls(session.tls);
    if (error) ended(error);
    else if (login === null) resolve({ kind: 'session', session });
    else logIn(session, login, hop, resolve, ended);
  });
  return { opened: promise, abort: () => ended(new Error('the router is stopping')) };
}

/** The library tells what is said, logins masked; to it the next hop is the server. */
function tracing(trace: SessionTrace) {
  const tell = ({ tnx }: { tnx?: string }, text: unknown) => {
    if (tnx !== 'client' && tnx !== 'server') return;
    for (const line of String(text).split(/\r?\n/)) {
      if (tnx === 'client') trace.sent(line);
      else trace.received(line);
    }
  };
  const silent = () => undefined;
  return { debug: tell, info: silent, warn: silent, error: silent, trace: silent, fatal: silent };
}

function logIn(
  session: Session,
  login: NonNullable<ConnectTerms['login']>,
  { host, port }: NextHop,
  resolve: (opened: Opened) => void,
  ended: (error: SmtpError, loginRefused?: boolean) => void,
): void {
  // The plan demands TLS wherever there is a login; this is the last door.
  if (session.tls === null) {
    ended(new Error(`${host}:${port} is not encrypted: the login is not sent`));
    return;
  }
  const { user } = login;
  const kept = login.kind === 'token' && login.oauth2.accessToken;
  const auth =
    login.kind === 'password'
      ? { user, credentials: { user, pass: login.pass } }
      : { user, method: 'XOAUTH2', oauth2: login.oauth2 };
  session.connection.login(auth as Parameters<HopConnection['login']>[0], (error?: SmtpError | null) => {
    if (!error) resolve({ kind: 'session', session });
    else ended(error, isAboutLogin(error) && !(login.kind === 'token' && renewsToken(login.oauth2, kept)));
  });
}

/** A 5xx to AUTH, or a token service that refuses: people must act. What is temporary (454) is not. */
function isAboutLogin({ responseCode, originalCode }: SmtpError): boolean {
  return responseCode === undefined ? originalCode === 'EOAUTH2' : responseCode >= 500;
}

function loginFailure({ response, message }: SmtpError, { host, port }: NextHop): Failure {
  const text = `${host}:${port} refuses our login: ${response ?? message}`;
  return makeFailure({ cause: 'login', status: '4.7.8', text, command: 'AUTH' });
}

/** As Postfix's "secure": the domain itself, or a host below it; never a name that only DNS vouches for. */
function identityOf(domain: string): (host: string, certificate: PeerCertificate) => Error | undefined {
  return (host, certificate) => {
    const own = checkServerIdentity(domain, certificate);
    if (!own || !host.endsWith(`.${domain}`)) return own;
    return checkServerIdentity(host, certificate);
  };
}

function connectFailure(error: SmtpError, hop: NextHop, brokenHandshake: boolean): Failure {
  const where = `${hop.host}:${hop.port}`;
  // What the runtime advises is for people at a keyboard.
  const said = error.message.replace(/; if the root CA is installed locally.*/s, '');
  const aboutTls = brokenHandshake || error.code === 'ETLS';
  if (!aboutTls)
    return makeFailure({ cause: nameConnectCause(error), status: '4.4.1', text: `${where}: ${said}` });
  const text = `${where}: TLS level ${hop.tlsLevel} is not met: ${said}`;
  return makeFailure({ cause: nameTlsCause(error), status: '4.7.5', text });
}

function nameConnectCause({ responseCode, command }: SmtpError): FailureCause {
  return responseCode !== undefined || command === 'CONN' ? 'greeting' : 'connect';
}

/** RFC 8460 section 4.3.1 tells these apart. */
const CERTIFICATE_CAUSES: Readonly<Record<string, FailureCause>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate-host-mismatch',
  CERT_HAS_EXPIRED: 'certificate-expired',
  CERT_NOT_YET_VALID: 'certificate-expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate-untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate-untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate-untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate-untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate-untrusted',
  CERT_SIGNATURE_FAILURE: 'certificate-untrusted',
  CERT_UNTRUSTED: 'certificate-untrusted',
  CERT_REVOKED: 'certificate-untrusted',
  INVALID_CA: 'certificate-untrusted',
  INVALID_PURPOSE: 'certificate-untrusted',
};

function nameTlsCause({ code, originalCode, responseCode, message }: SmtpError): FailureCause {
  const certificate = CERTIFICATE_CAUSES[originalCode ?? ''] ?? CERTIFICATE_CAUSES[code ?? ''];
  if (certificate) return certificate;
  return responseCode !== undefined || /STARTTLS/.test(message) ? 'starttls-missing' : 'handshake';
}

function readHopTls({ tlsSocket: socket }: HopConnection, plan: TlsPlan): HopTls | null {
  if (!socket) return null;
  const version = socket.getProtocol() ?? 'unknown';
  return { version, cipher: socket.getCipher()?.name ?? 'unknown', verified: plan.rejectUnauthorized };
}
