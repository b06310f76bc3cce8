/**
 * Makes one connection to a next hop over nodemailer's SMTPConnection, by the policy of tlspolicy.ts: up to the reply
 * to EHLO, encrypted as decided, and logged in where the hop wants it. A failure is a value that says whether it was the
 * handshake that broke, because only that may ever be followed by plain text, or the login that was refused.
 */
import { checkServerIdentity, type PeerCertificate, type SecureContext, type TLSSocket } from 'node:tls';
import { type Failure, oneLine } from '#crds/failure.ts';
import { requiresTls, type TlsLevel } from '#crds/tlslevel.ts';
import type { SessionTrace } from '../observe/trace.ts';
import type { AttemptBudget } from './budget.ts';
import { connectFailure, LoopError, loginFailure, type SmtpError } from './connectfailure.ts';
import type { HopTls, NextHop } from './courier.ts';
import { HopConnection } from './hopconnection.ts';
import { type Login, renewsToken } from './hopcredentials.ts';
import type { TlsPolicy } from './tlspolicy.ts';

/** The library's own timers are silent: hopconnection.ts and the budget of the attempt have the times of the RFC. */
const NEVER_MS = 2 ** 31 - 1;

export interface Session {
  readonly connection: HopConnection;
  tls: HopTls | null;
  readonly level: TlsLevel;
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
  abort(reason: string): void;
}

export interface ConnectTerms {
  /** One of the hop's. The library gets no names: it would keep what it found for minutes, in an order of its own. */
  readonly address: string;
  readonly policy: TlsPolicy;
  readonly budget: AttemptBudget;
  /** What we say in EHLO. */
  readonly hostname: string;
  readonly context: SecureContext;
  /** null: the hop wants none. */
  readonly login: Exclude<Login, { kind: 'unusable' }> | null;
  readonly trace: SessionTrace | undefined;
}

export function connect(hop: NextHop, terms: ConnectTerms): Connecting {
  const { hostname, login, trace, budget } = terms;
  const connection = new HopConnection(libraryOptions(hop, terms));
  const { promise, resolve } = Promise.withResolvers<Opened>();
  const { level } = terms.policy;
  const session: Session = { connection, tls: null, level, used: 0, broken: false, trace };
  const ended = (error: SmtpError, loginRefused = false) => {
    if (session.broken) return;
    session.broken = true;
    forget();
    trace?.ended(oneLine(error.message));
    // Asked before closing; after the session was given out this only marks it.
    const failure = loginRefused ? loginFailure(error, hop) : connectFailure(error, hop, connection, terms);
    const brokenHandshake = connection.isInHandshake && !connection.wasCut;
    connection.close();
    resolve({ kind: 'failed', failure, brokenHandshake });
  };
  const opened = () => {
    forget();
    resolve({ kind: 'session', session });
  };
  const forget = budget.whenOver(() => connection.cut('the attempt took longer than ten minutes'));
  connection.on('error', ended);
  connection.on('end', () => ended(new Error('the connection was closed')));
  connection.connect((error) => {
    session.tls = error ? null : readHopTls(connection, terms.policy);
    if (session.tls) trace?.tls(tracedTls(session.tls));
    if (error) ended(error);
    else if (connection.names.includes(hostname.toLowerCase())) ended(new LoopError());
    else if (login === null) opened();
    else logIn(session, login, hop, opened, ended);
  });
  return { opened: promise, abort: (reason) => connection.cut(reason) };
}

function libraryOptions(hop: NextHop, { address, policy, hostname, context, trace }: ConnectTerms) {
  const { mode, level, sni, names, trust } = policy;
  const isStarttls = mode === 'starttls';
  return {
    host: address,
    ...(sni === null ? {} : { servername: sni }),
    port: hop.port,
    name: hostname,
    secure: mode === 'implicit',
    ignoreTLS: mode === 'none',
    requireTLS: isStarttls && requiresTls(level),
    opportunisticTLS: isStarttls && !requiresTls(level),
    // Loopback and cluster addresses are next hops like any other: the manifest names them on purpose.
    allowInternalNetworkInterfaces: true,
    connectionTimeout: NEVER_MS,
    greetingTimeout: NEVER_MS,
    socketTimeout: NEVER_MS,
    ...(trace ? { logger: tracing(trace), transactionLog: true } : { logger: false as const }),
    tls: {
      secureContext: context,
      // The one place where verification is ever switched off.
      rejectUnauthorized: trust.kind !== 'none',
      checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkNames(names, certificate),
    },
  };
}

/** One of the names is enough; the error is that of the first. */
function checkNames(names: readonly string[], certificate: PeerCertificate): Error | undefined {
  const errors = names.map((name) => checkServerIdentity(name, certificate));
  return errors.includes(undefined) ? undefined : errors[0];
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
  opened: () => void,
  ended: (error: SmtpError, loginRefused?: boolean) => void,
): void {
  // The plan demands TLS wherever there is a login; this is the last door.
  if (session.tls === null) {
    ended(new Error(`${host}:${port} is not encrypted: the login is not sent`));
    return;
  }
  session.connection.hide(listSecrets(login));
  const { user } = login;
  const kept = login.kind === 'token' && login.oauth2.accessToken;
  const auth =
    login.kind === 'password'
      ? { user, credentials: { user, pass: login.pass } }
      : { user, method: 'XOAUTH2', oauth2: login.oauth2 };
  session.connection.login(auth as Parameters<HopConnection['login']>[0], (error?: SmtpError | null) => {
    if (!error) opened();
    else ended(error, isAboutLogin(error) && !(login.kind === 'token' && renewsToken(login.oauth2, kept)));
  });
}

/** A 5xx to AUTH, or a token service that refuses: people must act. What is temporary (454) is not. */
function isAboutLogin({ responseCode, originalCode }: SmtpError): boolean {
  return responseCode === undefined ? originalCode === 'EOAUTH2' : responseCode >= 500;
}

/** What the hop hears from us at AUTH, in every form. */
function listSecrets(login: NonNullable<ConnectTerms['login']>): string[] {
  const encoded = (text: string) => Buffer.from(text).toString('base64');
  if (login.kind === 'token') {
    const token = login.oauth2.accessToken || '';
    return [token, encoded(`user=${login.user}\x01auth=Bearer ${token}\x01\x01`)];
  }
  const { user, pass } = login;
  return [encoded(`\0${user}\0${pass}`), encoded(pass), pass];
}

function readHopTls({ tlsSocket: socket }: HopConnection, { trust }: TlsPolicy): HopTls | null {
  if (!socket) return null;
  const version = socket.getProtocol() ?? 'unknown';
  const cipher = socket.getCipher()?.name ?? 'unknown';
  return { version, cipher, group: readGroup(socket), verified: trust.kind !== 'none' };
}

/** A server is asked otherwise: listener/tlsgroup.ts. P-256 has two names in OpenSSL; the logs of both sides say one. */
function readGroup(socket: TLSSocket): string | null {
  const { name = null } = socket.getEphemeralKeyInfo() as { name?: string };
  return name === 'prime256v1' ? 'secp256r1' : name;
}

function tracedTls({ group, ...tls }: HopTls) {
  return { ...tls, ...(group === null ? {} : { group }) };
}
