/**
 * The trace of SMTP sessions, in the form of Domino's SMTPDebugIO. Each event is exactly one line:
 *
 *   2026-11-24T14:03:22.123Z [k3v9...] 192.0.2.7 R: STARTTLS<CRLF>
 *   2026-11-24T14:03:22.124Z [k3v9...] 192.0.2.7 S: 220 Ready to start TLS<CRLF>
 *   2026-11-24T14:03:22.124Z [k3v9...] Sent 24 bytes to 192.0.2.7
 *
 * `R:` marks received lines and `S:` sent lines, on both sides of the relay. Level 1 shows sessions and TLS facts, level 2
 * commands and replies, level 3 their byte counts, level 4 the byte counts of messages. Logins are masked from the first
 * word after the mechanism to the end of the exchange. After a refused login, a line that is no command is masked too,
 * because it may be the rest of the login. Message data is never shown. The trace stops by itself at `until`.
 */

import { BlockList } from 'node:net';
import { addNetwork, listCovers } from '#crds/networks.ts';
import { compilePatterns } from '#crds/patterns.ts';
import type { Policy } from '#crds/policyfile.ts';

const LONGEST = 500;
const MASK = '****';
const MECHANISMS =
  /^(?:PLAIN|LOGIN|XOAUTH2|OAUTHBEARER|SCRAM-[A-Z0-9-]{1,16}|CRAM-MD5|EXTERNAL|NTLM|GSSAPI)$/i;
const COMMANDS = /^(?:EHLO|HELO|MAIL|RCPT|DATA|RSET|NOOP|QUIT|VRFY|HELP|STARTTLS)(?: |$)/i;

interface InboundFacts {
  readonly id: string;
  readonly client: string;
  readonly listener: string;
}

interface OutboundFacts {
  readonly id: string;
  readonly hop: string;
  /** The recipient domain. */
  readonly domain: string;
}

interface TracedTls {
  readonly version: string;
  readonly cipher: string;
  readonly group?: string;
  readonly verified?: boolean;
}

export interface SessionTrace {
  /** One line, with or without its line end. */
  received(line: Buffer | string): void;
  sent(line: Buffer | string): void;
  tls(facts: TracedTls): void;
  /** Bytes of a message that passed. */
  body(bytes: number): void;
  ended(reason: string): void;
}

export interface Tracer {
  /** Undefined if the session is not traced. An untraced session costs one check. */
  session(kind: 'inbound', facts: InboundFacts): SessionTrace | undefined;
  session(kind: 'outbound', facts: OutboundFacts): SessionTrace | undefined;
  /** Whether deliveries to this domain are traced now. */
  follows(domain: string): boolean;
}

export function makeTracer(
  trace: Policy['trace'],
  write: (line: string) => void,
  clock: () => number,
): Tracer {
  const until = trace.until === null ? Number.POSITIVE_INFINITY : Date.parse(trace.until);
  const isWanted = wantedBy(trace);
  const state = { ended: false };
  const line = (text: string) => {
    const now = clock();
    if (now < until) write(`${new Date(now).toISOString()} ${text}`);
    else if (!state.ended) write(`${trace.until} The trace ended, as trace.until says`);
    state.ended = now >= until;
  };
  const isOn = () => trace.level > 0 && clock() < until;
  return {
    session: (kind: 'inbound' | 'outbound', facts: InboundFacts | OutboundFacts) =>
      isOn() && isWanted(kind, facts) ? new Session(trace.level, line, kind, facts) : undefined,
    follows: (domain) => isOn() && isWanted('outbound', { id: '', hop: '', domain }),
  };
}

function wantedBy({ networks, recipientDomains }: Policy['trace']) {
  const list = new BlockList();
  for (const network of networks ?? []) addNetwork(network, list);
  const isDomain = recipientDomains && compilePatterns(recipientDomains);
  return (kind: 'inbound' | 'outbound', facts: InboundFacts | OutboundFacts): boolean => {
    // Only the other kind of session knows these facts, so such a filter does not exclude this one.
    if (kind === 'inbound')
      return networks === null ? isDomain === null : listCovers(list, (facts as InboundFacts).client);
    return isDomain === null ? networks === null : isDomain((facts as OutboundFacts).domain);
  };
}

class Session implements SessionTrace {
  readonly #level: number;
  readonly #line: (text: string) => void;
  readonly #id: string;
  readonly #peer: string;
  /** The side that answers a login. Its 334 continues the login, and every other reply ends it. */
  readonly #server: 'R' | 'S';
  #inLogin = false;
  #triedLogin = false;
  #isOver = false;

  constructor(
    level: number,
    line: (text: string) => void,
    kind: 'inbound' | 'outbound',
    facts: InboundFacts | OutboundFacts,
  ) {
    this.#level = level;
    this.#line = line;
    this.#id = facts.id;
    this.#server = kind === 'inbound' ? 'S' : 'R';
    const { client, listener, hop, domain } = facts as Partial<InboundFacts & OutboundFacts>;
    this.#peer = visible(client ?? hop ?? '');
    line(`[${this.#id}] ${this.#peer} session begins: ${visible(listener ?? domain ?? '')}`);
  }

  received(line: Buffer | string): void {
    this.#add('R', line);
  }

  sent(line: Buffer | string): void {
    this.#add('S', line);
  }

  tls({ version, cipher, group, verified }: TracedTls): void {
    const rest = [
      group && `group ${group}`,
      verified !== undefined && (verified ? 'verified' : 'not verified'),
    ];
    this.#line(`[${this.#id}] ${this.#peer} TLS: ${[version, cipher, ...rest.filter(Boolean)].join(', ')}`);
  }

  body(bytes: number): void {
    if (this.#level >= 4) this.#line(`[${this.#id}] ${this.#peer} message of ${bytes} bytes`);
  }

  ended(reason: string): void {
    if (!this.#isOver) this.#line(`[${this.#id}] ${this.#peer} session ends: ${visible(reason)}`);
    this.#isOver = true;
  }

  #add(side: 'R' | 'S', line: Buffer | string): void {
    const text = (typeof line === 'string' ? Buffer.from(line) : line)
      .toString('latin1')
      .replace(/\r?\n$/, '');
    const shown = this.#masked(side, text);
    if (this.#level < 2) return;
    this.#line(`[${this.#id}] ${this.#peer} ${side}: ${visible(shown)}<CRLF>`);
    if (this.#level < 3) return;
    const bytes = text.length + 2;
    this.#line(
      `[${this.#id}] ${side === 'S' ? 'Sent' : 'Received'} ${bytes} bytes ${side === 'S' ? 'to' : 'from'} ${this.#peer}`,
    );
  }

  #masked(side: 'R' | 'S', text: string): string {
    if (side === this.#server) {
      const challenge = /^334(?:[ -]|$)/.test(text);
      if (this.#inLogin && !challenge) this.#inLogin = false;
      return challenge ? `334 ${MASK}` : text;
    }
    if (this.#inLogin) return MASK;
    const [, verb, mechanism, rest] = /^\s*(AUTH)(?:\s+(\S+)(\s.*)?)?\s*$/is.exec(text) ?? [];
    if (verb === undefined) return this.#triedLogin && !COMMANDS.test(text) ? MASK : text;
    this.#inLogin = true;
    this.#triedLogin = true;
    if (mechanism === undefined) return verb;
    return `${verb} ${MECHANISMS.test(mechanism) ? mechanism : MASK}${rest === undefined ? '' : ` ${MASK}`}`;
  }
}

/** One line. Control characters and bytes beyond ASCII become visible and harmless. */
function visible(text: string): string {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}... (${text.length} bytes)` : text;
  const names: Readonly<Record<string, string>> = {
    '\r': '<CR>',
    '\n': '<LF>',
    '\t': '<TAB>',
    '\0': '<NUL>',
  };
  return cut.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must be seen
    /[\x00-\x1f\x7f-\uffff]/g,
    (char) => names[char] ?? `<${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}>`,
  );
}
