/**
 * What a session may do before and after TLS: (STARTTLS policy, facts) -> go on, or a reply. smtp-server knows no
 * "STARTTLS required"; this is where it is decided, for every command. Pure.
 */
import type { Listener, Policy, StartTlsPolicy } from '#crds/policyfile.ts';
import { rawPathIsPlain } from './address.ts';
import { REPLIES, type Reply } from './reply.ts';

/** What may be said in clear text where TLS is required (RFC 3207 section 4, plus HELO, RSET for old clients). */
const BEFORE_TLS = new Set(['EHLO', 'HELO', 'NOOP', 'STARTTLS', 'RSET', 'QUIT']);

/** Commands of smtp-server that this relay does not have. */
export const NEVER_AVAILABLE = new Set(['AUTH', 'XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL', 'LHLO']);

export interface SessionRules {
  readonly starttls: StartTlsPolicy;
  readonly authRequired: boolean;
  readonly messageBytes: number;
}

/**
 * The policy of one session: client policy, else listener. A client policy never weakens a listener whose clients log
 * in, nor one with implicit TLS. `matches` tells whether the client is in the networks of the policy at an index.
 */
export function starttlsOfSession(
  listener: Listener,
  clientPolicies: Policy['inbound']['clientPolicies'],
  matches: (index: number) => boolean,
): StartTlsPolicy {
  if (listener.implicitTLS) return 'Disabled';
  const chosen = clientPolicies.find((_, index) => matches(index))?.starttls ?? listener.starttls;
  const order: readonly StartTlsPolicy[] = ['Disabled', 'Enabled', 'Required'];
  const weaker = order.indexOf(chosen) < order.indexOf(listener.starttls);
  return weaker && listener.auth === 'Required' ? listener.starttls : chosen;
}

/** The reply that refuses this command, or undefined when the session goes on. */
export function refusalOf(verb: string, rules: SessionRules, secure: boolean): Reply | undefined {
  // The library folds case by Unicode: "MAıL" would be a MAIL to it and pass every rule below.
  if (!/^[A-Z]{1,12}$/.test(verb)) return REPLIES.notUnderstood;
  if (!secure && rules.starttls === 'Required' && !BEFORE_TLS.has(verb)) return REPLIES.mustStartTls;
  if (verb === 'STARTTLS' && !secure && rules.starttls === 'Disabled') return REPLIES.noStartTls;
  if (NEVER_AVAILABLE.has(verb)) return REPLIES.notAvailable;
  if (verb === 'MAIL' && rules.authRequired) return REPLIES.mustLogIn;
  return undefined;
}

/** The reply that refuses a MAIL or RCPT for how it is written, or undefined. */
export function refusalOfLine(verb: string, line: Buffer, { messageBytes }: SessionRules): Reply | undefined {
  if (verb !== 'MAIL' && verb !== 'RCPT') return undefined;
  if (!rawPathIsPlain(line)) return verb === 'MAIL' ? REPLIES.badSender : REPLIES.badRecipient;
  const [, size] = /\sSIZE=(\d{1,20})(?:\s|$)/i.exec(line.toString('latin1')) ?? [];
  return size !== undefined && Number(size) > messageBytes ? REPLIES.tooLarge : undefined;
}
