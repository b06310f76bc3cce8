/** How far a session has come: its last command, and whether it goes on. Bytes alone are no progress. Pure. */
import { REPLIES, type Reply } from './reply.ts';
import type { Patience } from './sessionparts.ts';

export const HANDSHAKE_MS = 60_000;

/** What a session does now. */
export interface Moment {
  /** A TLS handshake is under way. */
  readonly isHandshake: boolean;
  /** A message is arriving, or waits for its answer. */
  readonly hasMessage: boolean;
  /** The client waits for our reply. */
  readonly isDeciding: boolean;
}

/** Other words of a client are nothing to list. */
const COMMANDS = new Set(
  'HELO EHLO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY EXPN HELP QUIT XCLIENT XFORWARD BDAT LHLO'.split(
    ' ',
  ),
);

export class Progress {
  #at: number;
  #dataSince: number | undefined;
  #verb = '';

  constructor(now: number) {
    this.#at = now;
  }

  /** A line of a login is no command, and has no verb. */
  command(verb: string, now: number): void {
    this.#at = now;
    this.#dataSince = undefined;
    if (verb !== '') this.#verb = verb;
  }

  dataBegins(now: number): void {
    this.#dataSince = now;
  }

  /** The reply that ends a session without progress, or undefined. Asked about once a second. */
  impatience(now: number, moment: Moment, { idleMs, messageMs }: Patience): Reply | undefined {
    const { isHandshake, hasMessage, isDeciding } = moment;
    const isMessage = this.#dataSince !== undefined && hasMessage;
    // A message has a limit of its own. After it the client may think as long as after any command.
    if (isDeciding || isMessage) this.#at = now;
    if (isMessage) return now - (this.#dataSince ?? now) > messageMs ? REPLIES.messageTooSlow : undefined;
    const patience = isHandshake ? Math.min(idleMs, HANDSHAKE_MS) : idleMs;
    return now - this.#at > patience ? REPLIES.idle : undefined;
  }

  /** As `/sessions` tells it. */
  describe(now: number, { isHandshake, hasMessage }: Moment): { state: string; quietSeconds: number } {
    const since = hasMessage ? (this.#dataSince ?? this.#at) : this.#at;
    return { state: this.#state(isHandshake, hasMessage), quietSeconds: Math.floor((now - since) / 1000) };
  }

  #state(isHandshake: boolean, hasMessage: boolean): string {
    if (isHandshake) return 'handshake';
    if (this.#verb === '') return 'greeting';
    if (this.#verb === 'DATA' && !hasMessage) return 'idle';
    return COMMANDS.has(this.#verb) ? this.#verb : 'other';
  }
}
