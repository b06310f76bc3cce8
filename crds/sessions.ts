/**
 * The open SMTP sessions of a relay, as `/sessions` of its admin port tells them to the machine that the relay runs on. They
 * are collected when somebody asks, and at no other time. Pure.
 */
import { z } from 'zod';

/** Sessions that are listed in each direction. The others are counted. */
export const MOST_SESSIONS = 100;

const count = () => z.int().min(0);
const tls = z.object({ version: z.string(), cipher: z.string() });

const inboundSession = z.object({
  /** As the trace has it. null: the handshake is the first thing of the session, and is not over. */
  id: z.string().nullable(),
  listener: z.string(),
  client: z.string(),
  /** null: the client has not said it. */
  helo: z.string().nullable(),
  since: z.string(),
  /** null: plain text. */
  tls: tls.nullable(),
  login: z.string().nullable(),
  /** A name of the verified certificate of the client. */
  certificate: z.string().nullable(),
  /** The last command; DATA until the message is answered. Also `handshake`, `greeting`, `other`; `idle` after a message. */
  state: z.string(),
  /** Since the last command. */
  quietSeconds: count(),
  /** That were accepted. */
  messages: count(),
});
export type InboundSession = z.infer<typeof inboundSession>;

const outboundSession = z.object({
  /** HOST:PORT. */
  hop: z.string(),
  /** The beginning of the connection. */
  since: z.string(),
  /** null: plain text, or not yet TLS. */
  tls: tls.nullable(),
  /** `idle`: kept for a next message. */
  state: z.enum(['connecting', 'sending', 'idle']),
  /** That were offered. */
  messages: count(),
});
export type OutboundSession = z.infer<typeof outboundSession>;

const openSessions = z.object({
  /** The oldest, at most MOST_SESSIONS. */
  inbound: z.array(inboundSession),
  /** Open ones that are not listed. */
  moreInbound: count(),
  outbound: z.array(outboundSession),
  moreOutbound: count(),
  /** Processes that did not answer in time. Their sessions are missing. */
  silentProcesses: count(),
});
export type OpenSessions = z.infer<typeof openSessions>;

/** What one process of the relay has. */
export type SessionsOfProcess = Omit<OpenSessions, 'silentProcesses'>;

export const NO_SESSIONS: SessionsOfProcess = { inbound: [], moreInbound: 0, outbound: [], moreOutbound: 0 };

/** Undefined: the text is something else. */
export function parseOpenSessions(text: string): OpenSessions | undefined {
  try {
    return openSessions.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The oldest of all processes. `undefined` stands for a process that did not answer. */
export function joinSessions(all: readonly (SessionsOfProcess | undefined)[]): OpenSessions {
  const told = all.filter((one) => one !== undefined);
  const [inbound, moreInbound] = keepOldest(
    told.flatMap((one) => one.inbound),
    told.map((one) => one.moreInbound),
  );
  const [outbound, moreOutbound] = keepOldest(
    told.flatMap((one) => one.outbound),
    told.map((one) => one.moreOutbound),
  );
  return { inbound, moreInbound, outbound, moreOutbound, silentProcesses: all.length - told.length };
}

function keepOldest<One extends { readonly since: string }>(
  all: readonly One[],
  more: readonly number[],
): [One[], number] {
  const kept = all.toSorted((a, b) => Date.parse(a.since) - Date.parse(b.since)).slice(0, MOST_SESSIONS);
  return [kept, more.reduce((sum, one) => sum + one, all.length - kept.length)];
}
