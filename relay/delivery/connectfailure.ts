/**
 * Explains why there is no session with a next hop: the cause, the RFC 3463 code and a sentence for people. The input
 * is the error of the library or of the system. Pure.
 */
import { type CertificateError, readCertificateError } from '#crds/certificateerror.ts';
import {
  type Failure,
  type FailureCause,
  type HandshakeReason,
  makeFailure,
  oneLine,
} from '#crds/failure.ts';
import { CHECK_SECRET, findLoginCure } from '#crds/loginproblems.ts';
import type { NextHop } from './courier.ts';
import { nameHandshakeReason } from './handshakereason.ts';
import type { HopConnection } from './hopconnection.ts';
import { readCodes } from './reply.ts';
import { asksToSlowDown } from './slowdown.ts';
import type { TlsaProblem } from './tlsa.ts';
import type { TlsPolicy } from './tlspolicy.ts';
import { TokenError } from './tokenerror.ts';

export interface SmtpError extends Error {
  readonly responseCode?: number | undefined;
  readonly response?: string | undefined;
  readonly code?: string | undefined;
  /** The original error code, if the library replaced it by its own. */
  readonly originalCode?: string | undefined;
  /** The word of OpenSSL for the error. */
  readonly reason?: string | undefined;
  /** The command that the hop answered. "API" if there was no command. */
  readonly command?: string | undefined;
}

/** The hop uses our own name, so the message would come back for ever (Postfix: "loops back to myself"). */
export class LoopError extends Error {}

/** The TLSA records of the hop do not prove its certificate. */
export class TlsaError extends Error {
  readonly problem: TlsaProblem;

  constructor(problem: TlsaProblem) {
    super(problem.text);
    this.problem = problem;
  }
}

/** Keeps only the codes of a reply to AUTH and of a token service, because some echo what we said. */
export function loginFailure(
  error: SmtpError,
  { host, port }: NextHop,
  login: 'password' | 'token' = 'password',
): Failure {
  const problem = error instanceof TokenError ? error.problem : null;
  const said = problem
    ? `the token service says ${problem.code}`
    : readCodes(error.response ?? '') || 'no reply';
  const cure = problem?.cure ?? findLoginCure(error.response ?? '', login) ?? CHECK_SECRET;
  const text = `${host}:${port} refuses our login (${said}): ${cure}`;
  return makeFailure({ cause: 'login', status: '4.7.8', text, command: 'AUTH' });
}

/** The hop or its token service said itself that it refuses our login or our certificate. No fault of the network. */
export function isOurRefusal(error: SmtpError, hop: NextHop, isLoginRefused: boolean): boolean {
  if (isLoginRefused) return error.responseCode !== undefined || error instanceof TokenError;
  return isPairRefused(error, hop);
}

/** In TLS 1.3 the hop says so after the handshake. */
function isPairRefused(error: SmtpError, { clientCertificateSecret }: NextHop): boolean {
  const isAboutPair = nameHandshakeReason(findWord(error)) === 'our certificate is refused';
  return isAboutPair && clientCertificateSecret !== null;
}

/** Some handshakes end for another reason: our time is over, or the network is down. These do not count as broken. */
const NETWORK_AWAY = new Set(['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']);

export function isHandshakeBroken({ originalCode = '' }: SmtpError, connection: HopConnection): boolean {
  return connection.isInHandshake && connection.wasCut === undefined && !NETWORK_AWAY.has(originalCode);
}

/** `source`: our address, where the spec names it. */
interface FailedTerms {
  readonly address: string;
  readonly source?: string | undefined;
  readonly policy: TlsPolicy;
}

export function connectFailure(
  error: SmtpError,
  hop: NextHop,
  connection: HopConnection,
  { address, source, policy }: FailedTerms,
): Failure {
  const where = `${hop.host}:${hop.port}`;
  if (error instanceof LoopError) {
    const text = `${where} calls itself by the name of this relay: mail would come back here`;
    return makeFailure({ cause: 'policy', status: '5.4.6', text });
  }
  if (connection.wasCut === 'relay') return abortFailure(error, where);
  if (source !== undefined && NO_SOURCE.has(error.originalCode ?? '')) return sourceFailure(where, source);
  // The advice of the runtime is for a developer at a keyboard, so it is removed.
  const said = explainSystem(error, address).replace(/; if the root CA is installed locally.*/s, '');
  const aboutTls =
    isHandshakeBroken(error, connection) ||
    isPairRefused(error, hop) ||
    error instanceof TlsaError ||
    error.code === 'ETLS' ||
    /required STARTTLS/.test(error.message);
  const cure = explainHeader(error, hop, connection);
  if (aboutTls) return tlsFailure(error, where, policy, said, cure);
  const cause = nameConnectCause(error, connection);
  const during = cause === 'handshake' ? ` in the TLS handshake (${policy.rule})` : '';
  const forSender = `${where}: ${said}${during}`;
  return makeFailure({
    cause,
    status: '4.4.1',
    text: `${forSender}${cure}`,
    forSender,
    ...slowerIfAsked(error),
    ...(NO_WAY.has(error.originalCode ?? '') && !connection.isConnected ? { noWay: true as const } : {}),
  });
}

function slowerIfAsked({ responseCode, response = '' }: SmtpError) {
  return asksToSlowDown(responseCode, response) ? { slowDown: true as const } : {};
}

/** A host that does not expect a PROXY header ends the connection, or refuses the next command. */
function explainHeader(
  { command }: SmtpError,
  { proxyProtocol }: NextHop,
  { isConnected, isGreeted }: HopConnection,
): string {
  const isAboutHeader = isConnected && (!isGreeted || command === 'EHLO' || command === 'LHLO');
  if (proxyProtocol === null || !isAboutHeader) return '';
  return `; the connection began with a PROXY header (${proxyProtocol}): if the host expects none, remove its proxyProtocol`;
}

/** Errors of the system where it has no network of the family of an address, as most clusters have no IPv6. */
const NO_WAY = new Set(['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']);
/** Errors of the system for an address that is not ours, or from which the host cannot be reached at all. */
const NO_SOURCE = new Set(['EADDRNOTAVAIL', 'EINVAL']);

function sourceFailure(where: string, source: string): Failure {
  const text = `${where}: no connection can come from ${source}: give this address to the pod, or correct sourceAddresses`;
  return makeFailure({ cause: 'local', status: '4.3.5', text });
}

/** This relay ended the connection. That is no failure of the hop. */
export function abortFailure({ message }: SmtpError, where: string): Failure {
  return makeFailure({ cause: 'local', status: '4.4.2', text: `${where}: ${message}` });
}

/** Why a connection at level Opportunistic goes on in plain text, although no handshake broke. */
export function starttlsMissing({ host, port }: NextHop, reply: string): Failure {
  const isOffered = !reply.startsWith('2');
  const why = isOffered ? `refuses STARTTLS (${oneLine(reply).trim()})` : 'does not offer STARTTLS';
  return makeFailure({ cause: 'starttls-missing', status: '4.7.5', text: `${host}:${port} ${why}` });
}

function tlsFailure(error: SmtpError, where: string, policy: TlsPolicy, said: string, cure: string): Failure {
  const cause = nameTlsCause(error);
  const facts = {
    cause,
    status: '4.7.5',
    ...(cause === 'handshake' ? { handshake: nameHandshakeReason(findWord(error)) } : {}),
    ...(mayPass(error, cause) ? { mayPass: true as const } : {}),
    ...slowerIfAsked(error),
  };
  const { handshake } = facts;
  const what = handshake === undefined ? said : describeHandshake(handshake, said);
  const cures = handshake === undefined ? '' : `${cureOld(handshake, policy)}${cure}`;
  const unmet = policy.mayFallBack ? '' : `TLS level ${policy.level} is not met: `;
  const [text, forSender] = [cures, ''].map(
    (told) => `${where}: ${unmet}${what}${told}${explainLevel(policy)}`,
  ) as [string, string];
  return makeFailure({ ...facts, text, forSender });
}

/** Of all alerts "handshake failure" says least: a host sends it also while it has no certificate, or misses ours. */
const SAYS_LITTLE = /alert handshake failure/;

function mayPass(error: SmtpError, cause: FailureCause): boolean {
  if (error instanceof TlsaError) return error.problem.mayPass === true;
  if (cause === 'handshake') return SAYS_LITTLE.test(findWord(error));
  const { responseCode: code = 0 } = error;
  return cause === 'starttls-missing' ? code >= 400 && code < 500 : findCertificate(error)?.mayPass === true;
}

function describeHandshake(handshake: HandshakeReason, said: string): string {
  return `the handshake broke: ${handshake === 'other' ? said : `${handshake} (${said})`}`;
}

/** A peer that knows nothing that level Opportunistic accepts has no cure. */
function cureOld(handshake: HandshakeReason, { mayFallBack }: TlsPolicy): string {
  const isOld = handshake === 'no shared version or cipher' && !mayFallBack;
  return isOld ? ': for an old peer set tls.minVersion of its route' : '';
}

/** The reason, where it is another than the level of the spec. */
function explainLevel({ level, rule }: TlsPolicy): string {
  return rule === `level ${level}` ? '' : ` (${rule})`;
}

/** The word of OpenSSL, without its number and the place in its source. */
function findWord({ reason, message }: SmtpError): string {
  return reason ?? message;
}

/** Words for the error codes of the system. */
const SYSTEM_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'no answer',
  EPIPE: 'connection ended',
};

function explainSystem(error: SmtpError, address: string): string {
  const words = SYSTEM_WORDS[error.originalCode ?? ''];
  return words ? `${words}: ${address}` : findWord(error);
}

function nameConnectCause({ responseCode }: SmtpError, connection: HopConnection): FailureCause {
  if (connection.isInHandshake) return 'handshake';
  if (connection.isGreeted) return responseCode === undefined ? 'connect' : 'reply';
  return responseCode !== undefined || connection.isConnected ? 'greeting' : 'connect';
}

function nameTlsCause(error: SmtpError): FailureCause {
  if (error instanceof TlsaError) return error.problem.cause;
  const { responseCode, message } = error;
  const certificate = findCertificate(error);
  if (certificate) return certificate.cause;
  return responseCode !== undefined || /STARTTLS/.test(message) ? 'starttls-missing' : 'handshake';
}

function findCertificate({ code = '', originalCode = '' }: SmtpError): CertificateError | undefined {
  return readCertificateError(originalCode) ?? readCertificateError(code);
}
