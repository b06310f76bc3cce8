/** What our rules give the connection of a client, and what it tells them: no smtp-server in it. Types only. */
import type { SMTPServerSession } from 'smtp-server';
import type { LineEndings } from '#crds/policyfile.ts';
import type { SessionTrace } from '../observe/trace.ts';
import type { Exchange } from './exchange.ts';
import type { Reply } from './reply.ts';

/** Decides on a command before the library sees it: a reply refuses it. */
type Gate = (command: { verb: string; line: Buffer; secure: boolean }) => Reply | undefined;

/** A reply that refuses; `line` is the command that it refuses, never one of a login. */
export interface SaidRefusal {
  readonly code: number;
  readonly text: string;
  readonly reason: string | undefined;
  readonly line: Buffer | undefined;
}

/** What a session is given when its client is known. */
export interface SessionParts {
  /** The client is one of those who may relay by their address. */
  readonly isTrusted: boolean;
  readonly gate: Gate;
  /** A login by a mechanism that the library does not know; undefined: there is no such mechanism. */
  readonly exchange: (mechanism: string) => Exchange | undefined;
  /** Hears of every refusal, whoever made it; a reply is the end of the session. */
  readonly refused: (refusal: SaidRefusal) => Reply | undefined;
  readonly trace: SessionTrace | undefined;
  readonly lineEndings: LineEndings;
}
export type SessionMaker = (client: string, session: SMTPServerSession) => SessionParts;

export interface Patience {
  /** Without a complete command, and while a handshake lasts. */
  readonly idleMs: number;
  /** From DATA to the final dot. */
  readonly messageMs: number;
}
