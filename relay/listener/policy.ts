/**
 * What a session may do before and after TLS: (STARTTLS policy, facts) -> go on, or a reply. smtp-server knows no
 * "STARTTLS required"; this is where it is decided, for every command. Pure.
 */
import type { LineEndings, Listener, Policy, StartTlsPolicy, TlsVersion } from '#crds/policyfile.ts';
import { type OfferedParameters, refusalOfCommand } from './mailcommand.ts';
import { REPLIES, type Reply } from './reply.ts';

/** What may be said in clear text where TLS is required (RFC 3207 section 4, plus HELO, RSET for old clients). */
const BEFORE_TLS = new Set(['EHLO', 'HELO', 'NOOP', 'STARTTLS', 'RSET', 'QUIT']);

/** Commands of smtp-server that this relay does not have. */
export const NEVER_AVAILABLE = new Set(['XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL', 'LHLO']);

/** Commands of protocols that a browser, or a proxy, can be made to speak with us (Postfix `smtpd_forbidden_commands`). */
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
  /** False while no pair is loaded: TLS that the session needs cannot be had. */
  readonly hasPair: boolean;
}

export interface SessionState {
  readonly secure: boolean;
  /** Logged in, or a certificate that counts as a login. */
  readonly loggedIn: boolean;
  /** MAIL was accepted. */
  readonly inTransaction: boolean;
}

/**
 * The STARTTLS policy of one session: client policy, else listener. A client policy never weakens a listener whose
 * clients log in, nor one with implicit TLS.
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

/** The oldest TLS version of one session. Where clients must log in, or TLS is implicit, nothing lowers it. */
export function tlsFloorOfSession(
  listener: Listener,
  clientPolicy: ClientPolicy | undefined,
  floor: TlsVersion,
): TlsVersion {
  const chosen = clientPolicy?.minTlsVersion ?? floor;
  return chosen < floor && (listener.implicitTLS || listener.auth === 'Required') ? floor : chosen;
}

/** What becomes of lines that do not end in CRLF, in one session: client policy, else listener. */
export function lineEndingsOfSession(
  listener: Listener,
  clientPolicy: ClientPolicy | undefined,
): LineEndings {
  return clientPolicy?.lineEndings ?? listener.lineEndings;
}

/** The reply that refuses this command, or undefined when the session goes on. */
export function refusalOf(verb: string, rules: SessionRules, state: SessionState): Reply | undefined {
  if (FOREIGN.has(verb) || /^[^A-Za-z\u0080-\uffff]/.test(verb)) return REPLIES.notSmtp;
  // The library folds case by Unicode: "MAıL" would be a MAIL to it and pass every rule below.
  if (!/^[A-Z]{1,12}$/.test(verb)) return REPLIES.notUnderstood;
  if (!state.secure) {
    const refusal = refusalInClear(verb, rules);
    if (refusal) return refusal;
  }
  if (NEVER_AVAILABLE.has(verb)) return REPLIES.notAvailable;
  if (verb === 'AUTH' && rules.auth === 'Disabled') return REPLIES.notAvailable;
  // RFC 4954 section 4; it would also pass by what is counted for each login.
  if (verb === 'AUTH' && state.inTransaction) return REPLIES.authInTransaction;
  if (verb === 'MAIL' && rules.auth === 'Required' && !state.loggedIn) return REPLIES.mustLogIn;
  return undefined;
}

function refusalInClear(verb: string, { starttls, hasPair, auth }: SessionRules): Reply | undefined {
  const wantsTls = starttls !== 'Disabled';
  if (wantsTls && !hasPair && verb === 'STARTTLS') return REPLIES.tlsUnavailable;
  if (starttls === 'Required' && !BEFORE_TLS.has(verb)) return REPLIES.mustStartTls;
  // Never quietly in plain text: the sender comes again when there is a certificate.
  if (wantsTls && !hasPair && !BEFORE_TLS.has(verb)) return REPLIES.noCertificate;
  if (verb === 'STARTTLS' && !wantsTls) return REPLIES.noStartTls;
  if (verb !== 'AUTH') return undefined;
  return auth !== 'Disabled' && wantsTls ? REPLIES.authNeedsTls : REPLIES.notAvailable;
}

/** The reply that refuses a MAIL or RCPT for how it is written, or undefined. */
export function refusalOfLine(verb: string, line: Buffer, { offered }: SessionRules): Reply | undefined {
  return verb === 'MAIL' || verb === 'RCPT' ? refusalOfCommand(verb, line, offered) : undefined;
}
