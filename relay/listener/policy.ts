/**
 * Decides for every command whether a session may continue before and after TLS: (STARTTLS policy, state) -> continue,
 * or a reply. smtp-server has no option "STARTTLS required", so this file enforces it. Pure.
 */
import type { LineEndings, Listener, Policy, StartTlsPolicy } from '#crds/policyfile.ts';
import type { TlsVersion } from '#crds/tlslevel.ts';
import { type OfferedParameters, refusalOfCommand } from './mailcommand.ts';
import { REPLIES, type Reply } from './reply.ts';

/**
 * Commands that are allowed in plain text if TLS is required (RFC 3207 section 4, plus HELO and RSET for old clients).
 */
const BEFORE_TLS = new Set(['EHLO', 'HELO', 'NOOP', 'STARTTLS', 'RSET', 'QUIT']);

/** Commands of smtp-server that this relay does not offer. */
export const NEVER_AVAILABLE = new Set(['XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL', 'LHLO']);

/**
 * Commands of other protocols, which a browser or a proxy can be tricked to send (Postfix `smtpd_forbidden_commands`).
 */
const FOREIGN = new Set(
  'GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PRI PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK'.split(
    ' ',
  ),
);

type ClientPolicy = Policy['inbound']['clientPolicies'][number];

export interface SessionRules {
  readonly starttls: StartTlsPolicy;
  readonly auth: Listener['auth'];
  readonly offered: OfferedParameters;
  /** False while no certificate is loaded, so a session cannot get TLS. */
  readonly hasPair: boolean;
}

export interface SessionState {
  readonly secure: boolean;
  /** True after a login, or with a certificate that counts as a login. */
  readonly loggedIn: boolean;
  /** True after an accepted MAIL. */
  readonly inTransaction: boolean;
}

/**
 * The STARTTLS policy of one session: the client policy, else the listener. A client policy never weakens a listener
 * with logins or with implicit TLS.
 */
export function starttlsOfSession(
  listener: Listener,
  clientPolicy: ClientPolicy | undefined,
): StartTlsPolicy {
  if (listener.implicitTLS) return 'Disabled';
  const chosen = clientPolicy?.starttls ?? listener.starttls;
  const order: readonly StartTlsPolicy[] = ['Disabled', 'Enabled', 'Required'];
  const weaker = order.indexOf(chosen) < order.indexOf(listener.starttls);
  return weaker && listener.auth === 'Required' ? listener.starttls : chosen;
}

/** The lowest TLS version of one session. Nothing lowers it if clients must log in or TLS is implicit. */
export function tlsFloorOfSession(
  listener: Listener,
  clientPolicy: ClientPolicy | undefined,
  floor: TlsVersion,
): TlsVersion {
  const chosen = clientPolicy?.minTlsVersion ?? floor;
  return chosen < floor && (listener.implicitTLS || listener.auth === 'Required') ? floor : chosen;
}

/** The handling of lines without CRLF in one session: the client policy, else the listener. */
export function lineEndingsOfSession(
  listener: Listener,
  clientPolicy: ClientPolicy | undefined,
): LineEndings {
  return clientPolicy?.lineEndings ?? listener.lineEndings;
}

/** The reply that refuses this command. Undefined if the session continues. */
export function findRefusal(verb: string, rules: SessionRules, state: SessionState): Reply | undefined {
  if (FOREIGN.has(verb) || /^[^A-Za-z\u0080-\uffff]/.test(verb)) return REPLIES.notSmtp;
  // The library changes case by Unicode, so it would read "MAıL" as MAIL, and the rules below would not see it.
  if (!/^[A-Z]{1,12}$/.test(verb)) return REPLIES.notUnderstood;
  if (!state.secure) {
    const refusal = refusalInClear(verb, rules);
    if (refusal) return refusal;
  }
  if (NEVER_AVAILABLE.has(verb)) return REPLIES.notAvailable;
  if (verb === 'AUTH' && rules.auth === 'Disabled') return REPLIES.notAvailable;
  // RFC 4954 section 4. Such a login would also bypass the counts for each login.
  if (verb === 'AUTH' && state.inTransaction) return REPLIES.authInTransaction;
  if (verb === 'MAIL' && rules.auth === 'Required' && !state.loggedIn) return REPLIES.mustLogIn;
  return undefined;
}

function refusalInClear(verb: string, { starttls, hasPair, auth }: SessionRules): Reply | undefined {
  const wantsTls = starttls !== 'Disabled';
  if (wantsTls && !hasPair && verb === 'STARTTLS') return REPLIES.tlsUnavailable;
  // Never fall back to plain text: the sender tries again when there is a certificate.
  if (wantsTls && !hasPair && !BEFORE_TLS.has(verb)) return REPLIES.noCertificate;
  if (starttls === 'Required' && !BEFORE_TLS.has(verb)) return REPLIES.mustStartTls;
  if (verb === 'STARTTLS' && !wantsTls) return REPLIES.noStartTls;
  if (verb !== 'AUTH') return undefined;
  return auth !== 'Disabled' && wantsTls ? REPLIES.authNeedsTls : REPLIES.notAvailable;
}

/** The reply that refuses an invalid MAIL or RCPT, or undefined. */
export function refusalOfLine(verb: string, line: Buffer, { offered }: SessionRules): Reply | undefined {
  return verb === 'MAIL' || verb === 'RCPT' ? refusalOfCommand(verb, line, offered) : undefined;
}
