/**
 * What a session may do before and after TLS: (STARTTLS policy, facts) -> go on, or a reply. smtp-server knows no
 * "STARTTLS required"; this is where it is decided, for every command. Pure.
 */
import type { Listener, Policy, StartTlsPolicy } from '#crds/policyfile.ts';
import { REPLIES, type Reply } from './reply.ts';

/** What may be said in clear text where TLS is required (RFC 3207 section 4, plus HELO, RSET for old clients). */
const BEFORE_TLS = new Set(['EHLO', 'HELO', 'NOOP', 'STARTTLS', 'RSET', 'QUIT']);

export interface SessionRules {
  readonly starttls: StartTlsPolicy;
  readonly authRequired: boolean;
  /** False while no usable pair is loaded. */
  readonly canEncrypt: boolean;
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
  if (!secure && rules.starttls === 'Required' && !BEFORE_TLS.has(verb)) return REPLIES.mustStartTls;
  if (verb === 'STARTTLS' && !secure && rules.starttls === 'Disabled') return REPLIES.noStartTls;
  if (verb === 'STARTTLS' && !secure && !rules.canEncrypt) return REPLIES.tlsDown;
  if (verb === 'AUTH') return REPLIES.noAuth;
  if (verb === 'MAIL' && rules.authRequired) return REPLIES.mustLogIn;
  return undefined;
}
