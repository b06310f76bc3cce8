/**
 * Logs refusals, one line each, with the setting that would have allowed the client. The lines are limited for each
 * client and minute, because a guessing client would fill the log. The omitted ones are counted. A line shows only the
 * verb and the address of a command, because other text may be a password.
 */
import { cutText } from '#crds/cut.ts';
import type { Log } from '../observe/log.ts';
import { findCure } from './cures.ts';

/** One refused command, as the session knows it. */
export interface RefusedCommand {
  readonly client: string;
  readonly helo: string;
  readonly listener: string;
  /** The protocol version, or "none". */
  readonly tls: string;
  readonly login: string | null;
  /** The refused line. Undefined if there was no command, for example in an idle session. */
  readonly line: Buffer | undefined;
  readonly code: number;
  readonly text: string;
  readonly rule: string;
}

const LINES_PER_MINUTE = 30;
const MINUTE_MS = 60_000;
const MOST_CLIENTS = 10_000;
const LONGEST = 256;
const VERBS = new Set('HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY EXPN HELP AUTH STARTTLS BDAT'.split(' '));

export class RefusalLog {
  readonly #log: Log;
  readonly #onRefused: (refused: RefusedCommand) => void;
  /** The number of lines in this minute, by client. */
  readonly #told = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  /** `onRefused` hears of every refusal. */
  constructor(log: Log, onRefused: (refused: RefusedCommand) => void = () => undefined) {
    this.#log = log;
    this.#onRefused = onRefused;
    this.#timer = setInterval(() => this.#beginMinute(), MINUTE_MS);
    this.#timer.unref();
  }

  tell(refused: RefusedCommand): void {
    this.#onRefused(refused);
    const { client, line, login, code, text, rule, ...rest } = refused;
    if (!this.#told.has(client) && this.#told.size >= MOST_CLIENTS) return;
    const count = (this.#told.get(client) ?? 0) + 1;
    this.#told.set(client, count);
    if (count > LINES_PER_MINUTE) return;
    this.#log('refused', {
      client,
      ...rest,
      login: login ?? undefined,
      ...(line ? describeLine(line) : {}),
      reply: `${code} ${text}`,
      rule,
      cure: findCure(rule),
    });
  }

  #beginMinute(): void {
    for (const [client, count] of this.#told)
      if (count > LINES_PER_MINUTE)
        this.#log('refused', { client, rule: 'left_out', count: count - LINES_PER_MINUTE });
    this.#told.clear();
  }
}

function describeLine(line: Buffer): { command: string; address?: string } {
  const text = line.toString('utf8', 0, 2_048);
  const verb = (/^[A-Za-z]+/.exec(text)?.[0] ?? '').toUpperCase();
  if (!VERBS.has(verb)) return { command: 'unknown' };
  const [, address] = /^(?:MAIL|RCPT)\s+(?:FROM|TO):\s*<?([^>]*)/i.exec(text) ?? [];
  return address === undefined ? { command: verb } : { command: verb, address: cutText(address, LONGEST) };
}
