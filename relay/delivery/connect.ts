/**
 * Makes one connection to a next hop with nodemailer's SMTPConnection, by the TLS policy of tlspolicy.ts. The
 * connection is ready after the reply to EHLO, TLS and the login. A failure is a value. It says whether the TLS
 * handshake broke, because only a broken handshake may lead to plain text. It also says whether the hop refused our
 * login or our certificate.
 */
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { PeerCertificate, SecureContext, TLSSocket } from 'node:tls';
import { type Failure, oneLine } from '#crds/failure.ts';
import { requiresTls, verifiesPeer } from '#crds/tlslevel.ts';
import type { SessionTrace } from '../observe/trace.ts';
import { secretsOfLogin } from './authsecrets.ts';
import { type AttemptBudget, OVERDUE } from './budget.ts';
import {
  connectFailure,
  isHandshakeBroken,
  isOurRefusal,
  LoopError,
  loginFailure,
  type SmtpError,
  starttlsMissing,
  TlsaError,
} from './connectfailure.ts';
import type { HopTls, Judgement, NextHop, TlsReason } from './courier.ts';
import { judgeTlsa, type Unproven } from './danechain.ts';
import { HopConnection } from './hopconnection.ts';
import type { Login } from './hopcredentials.ts';
import { plainName } from './hostname.ts';
import { ProxyingSocket, writeProxyHeader } from './proxyingsocket.ts';
import { judgeOffers } from './requiretls.ts';
import { checkNames, judgeStricter, judgeTesting } from './stricterlevels.ts';
import { fallBack, type TlsPolicy } from './tlspolicy.ts';
import { TokenError } from './tokenerror.ts';
import { TokenLogin } from './tokenlogin.ts';

/** Switches a timer of the library off. hopconnection.ts and the budget of the attempt keep the times of the RFC. */
const NEVER_MS = 2 ** 31 - 1;

export interface Session {
  readonly connection: HopConnection;
  tls: HopTls | null;
  /** As it was decided. After a fall-back, as it is now. */
  policy: TlsPolicy;
  /** What stricter levels would have said. */
  judgement: Judgement;
  tested: Pick<TlsReason, 'stsTesting'>;
  /** The number of messages that were offered over this session. */
  used: number;
  /** True after the connection has ended, for any reason. */
  broken: boolean;
  readonly trace: SessionTrace | undefined;
}

export type Opened =
  | { kind: 'session'; session: Session }
  /**
   * `refusesUs`: the hop said itself that it refuses our login or our certificate. `anchors`: TLSA records vouch for these
   * certificates, so a connection that trusts them may prove the hop. `unfit`: why it gets no mail that requires TLS,
   * as it said, proven or not.
   */
  | {
      kind: 'failed';
      failure: Failure;
      brokenHandshake: boolean;
      refusesUs: boolean;
      anchors?: Unproven['anchors'];
      unfit?: Failure | undefined;
    };

export interface Connecting {
  readonly opened: Promise<Opened>;
  abort(reason: string): void;
}

export interface ConnectTerms {
  /**
   * One address of the hop. The library gets no host names, because it would cache look-ups for minutes and choose an
   * order of its own.
   */
  readonly address: string;
  readonly policy: TlsPolicy;
  readonly budget: AttemptBudget;
  /** Our address. undefined: the system chooses. */
  readonly source?: string | undefined;
  /** A tunnel to the hop. Absent: a connection is made. */
  readonly tunnel?: Socket | undefined;
  /** The name that we send in EHLO. */
  readonly hostname: string;
  readonly context: SecureContext;
  /** The context trusts only these, for DANE-TA. Empty: it has the authorities of level Verify. */
  readonly anchors: readonly string[];
  /** null: the hop needs no login. */
  readonly login: Exclude<Login, { kind: 'unusable' }> | null;
  readonly trace: SessionTrace | undefined;
}

const UNUSED = { judgement: {}, tested: {}, used: 0, broken: false };

export function connect(hop: NextHop, terms: ConnectTerms): Connecting {
  const { hostname, login, trace, budget } = terms;
  const connection = makeConnection(hop, terms);
  const { promise, resolve } = Promise.withResolvers<Opened>();
  const session: Session = {
    connection,
    tls: null,
    policy: terms.policy,
    ...UNUSED,
    trace,
  };
  const ended = (error: SmtpError, loginRefused = false, more: Pick<Unproven, 'anchors'> = {}) => {
    if (session.broken) return;
    session.broken = true;
    trace?.ended(oneLine(error.message));
    // The state is read before its end changes it. After the session was given out, this only marks it as broken.
    const failed = describeFailed(error, hop, { connection, terms, loginRefused });
    // A hop may allow one connection at a time, so no other one begins before.
    void connection.leave().then(() => {
      forget();
      resolve({ ...failed, ...more });
    });
  };
  const opened = () => {
    forget();
    // The hop may have said more in the same write: a 421.
    queueMicrotask(() => session.broken || resolve({ kind: 'session', session }));
  };
  const forget = budget.whenOver(() => connection.cut(OVERDUE));
  connection.on('error', ended);
  connection.on('end', () => ended(new Error('the connection was closed')));
  connection.connect((error) => {
    session.tls = error ? null : readHopTls(connection, terms.policy);
    if (session.tls) trace?.tls(tracedTls(session.tls));
    else if (terms.policy.mode === 'starttls')
      session.policy = fallBack(terms.policy, starttlsMissing(hop, connection.lastServerResponse || ''));
    // Before the first command that names a sender, or a login.
    const unproven = error ? undefined : judgeTlsa(connection.tlsSocket, terms);
    if (!error) judgeSession(session, hop, terms);
    if (error) ended(error);
    else if (unproven) ended(new TlsaError(unproven.problem), false, { anchors: unproven.anchors });
    else if (isThisRelay(hop, connection, hostname)) ended(new LoopError());
    else if (login === null) opened();
    else logIn(session, login, hop, opened, ended);
  });
  return { opened: promise, abort: (reason) => connection.cut(reason, 'relay') };
}

function describeFailed(
  error: SmtpError,
  hop: NextHop,
  state: { connection: HopConnection; terms: ConnectTerms; loginRefused: boolean },
): Opened {
  const { connection, terms, loginRefused } = state;
  const failure = loginRefused
    ? loginFailure(error, hop, terms.login?.kind)
    : connectFailure(error, hop, connection, terms);
  const brokenHandshake = isHandshakeBroken(error, connection);
  const refusesUs = isOurRefusal(error, hop, loginRefused);
  return {
    kind: 'failed',
    failure,
    brokenHandshake,
    refusesUs,
    unfit: judgeOffers(hop, connection),
  };
}

function makeConnection(hop: NextHop, terms: ConnectTerms): HopConnection {
  const { port, proxyProtocol } = hop;
  const { address, tunnel, login } = terms;
  if (tunnel && proxyProtocol) writeProxyHeader(tunnel, proxyProtocol, { address, port });
  const connection = new HopConnection(libraryOptions(hop, terms));
  // A hop that does not know the PROXY header answers it as a command. Its replies would then be one behind.
  connection.needsEhlo = proxyProtocol !== null;
  const given = login?.kind === 'password' ? login.pass : login?.tokens.given;
  if (login) connection.secrets = secretsOfLogin(login, given);
  return connection;
}

/** A mail store may have the name of its machine, and so of this relay, which takes no LMTP. */
function isThisRelay({ protocol }: NextHop, { ownNames }: HopConnection, hostname: string): boolean {
  return protocol === 'SMTP' && ownNames.includes(plainName(hostname));
}

/** What other policies would have said of this connection. Trust anchors of DANE say nothing of the authorities. */
function judgeSession(session: Session, hop: NextHop, { anchors }: ConnectTerms): void {
  const { policy, connection } = session;
  const { Verify: verify, ...others } = judgeStricter(hop, policy, connection.tlsSocket);
  const isJudged = verify !== undefined && (anchors.length === 0 || verifiesPeer(policy.level));
  session.judgement = isJudged ? { ...others, Verify: verify } : others;
  if (anchors.length === 0) session.tested = judgeTesting(hop, policy, connection.tlsSocket);
}

function libraryOptions(hop: NextHop, { address, policy, hostname, context, trace, ...ways }: ConnectTerms) {
  const { mode, level, sni, names, trust, strength, verifiedBy } = policy;
  const isStarttls = mode === 'starttls';
  const source = verifiedBy === 'MTA-STS' ? 'san' : 'any';
  return {
    host: address,
    ...socketOptions(hop, ways),
    ...(sni === null ? {} : { servername: sni }),
    port: hop.port,
    lmtp: hop.protocol === 'LMTP',
    name: hostname,
    secure: mode === 'implicit',
    ignoreTLS: mode === 'none',
    requireTLS: isStarttls && requiresTls(level),
    opportunisticTLS: isStarttls && !requiresTls(level),
    // Loopback and cluster addresses are normal next hops, because the manifest names them on purpose.
    allowInternalNetworkInterfaces: true,
    socketTimeout: NEVER_MS,
    ...(trace ? { logger: tracing(trace), transactionLog: true } : { logger: false as const }),
    tls: {
      secureContext: context,
      minDHSize: strength.minDhBits,
      // The only place that switches certificate verification off. TLSA records are compared after the handshake.
      rejectUnauthorized: trust.kind === 'pkix',
      checkServerIdentity: (_host: string, { raw }: Partial<PeerCertificate>) =>
        checkNames(names, source, raw && new X509Certificate(raw)),
    },
  };
}

/** The library makes the connection, unless there is a tunnel, or a PROXY header comes first. */
function socketOptions(
  { proxyProtocol }: NextHop,
  { source, tunnel }: Pick<ConnectTerms, 'source' | 'tunnel'>,
) {
  if (tunnel) return { connection: tunnel };
  if (proxyProtocol) return { socket: new ProxyingSocket(proxyProtocol, source) };
  return source === undefined ? {} : { localAddress: source };
}

/** The library reports the SMTP dialogue with logins masked. It calls the next hop "server". */
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
  // The plan demands TLS for every login. This is the last check.
  if (session.tls === null) {
    ended(new Error(`${host}:${port} is not encrypted: the login is not sent`));
    return;
  }
  const { user } = login;
  const oauth2 = login.kind === 'token' ? new TokenLogin(user, login.tokens) : undefined;
  const auth =
    login.kind === 'password'
      ? { user, credentials: { user, pass: login.pass } }
      : { user, method: 'XOAUTH2', oauth2 };
  session.connection.login(auth as Parameters<HopConnection['login']>[0], (error?: SmtpError | null) => {
    if (!error) opened();
    else ended(error, isAboutLogin(error, session.connection, oauth2));
  });
}

/**
 * A 5xx reply to AUTH, or a token service that refuses: a person must act. A temporary reply (454) does not count, nor do other
 * refusals than of this login (RFC 4954 section 6) by a hop that did not say what it offers.
 */
function isAboutLogin(error: SmtpError, { hidesOffers }: HopConnection, oauth2?: TokenLogin): boolean {
  if (error instanceof TokenError) return error.problem !== null;
  const { responseCode = 0 } = error;
  return (hidesOffers ? responseCode === 535 : responseCode >= 500) && oauth2?.refused() !== true;
}

function readHopTls({ tlsSocket: socket }: HopConnection, { level }: TlsPolicy): HopTls | null {
  if (!socket) return null;
  const version = socket.getProtocol() ?? 'unknown';
  const cipher = socket.getCipher()?.name ?? 'unknown';
  return { version, cipher, group: readGroup(socket), verified: verifiesPeer(level) };
}

/**
 * For a server there is another way: listener/tlsgroup.ts. OpenSSL has two names for P-256. The logs of both sides use
 * one.
 */
function readGroup(socket: TLSSocket): string | null {
  const { name = null } = socket.getEphemeralKeyInfo() as { name?: string };
  return name === 'prime256v1' ? 'secp256r1' : name;
}

function tracedTls({ group, ...tls }: HopTls) {
  return { ...tls, ...(group === null ? {} : { group }) };
}
