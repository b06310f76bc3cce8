/** The interface between our rules and the connection of a client, without smtp-server. Types only. */
import type { SMTPServerSession } from 'smtp-server';
import type { LineEndings } from '#crds/policyfile.ts';
import type { InboundSession } from '#crds/sessions.ts';
import type { SessionTrace } from '../observe/trace.ts';
import type { Exchange } from './exchange.ts';
import type { Reply } from './reply.ts';

/** A socket that the supervisor gave, from then to its end. */
export interface Arrived {
  readonly client: string;
  /** On the monotonic clock. */
  readonly since: number;
  readonly onEnd: () => void;
}

/** Decides on a command before the library sees it. A reply refuses the command. */
type Gate = (command: { verb: string; line: Buffer; secure: boolean }) => Reply | undefined;

/** A refusing reply. `line` is the refused command, never a line of a login. */
export interface SaidRefusal {
  readonly code: number;
  readonly text: string;
  readonly reason: string | undefined;
  readonly line: Buffer | undefined;
}

/** Without what only the connection knows. */
export type SessionNote = Omit<InboundSession, 'since' | 'state' | 'quietSeconds'>;

/** The parts that a session gets when its client is known. */
export interface SessionParts {
  /** True if the client may relay by its address. */
  readonly isTrusted: boolean;
  readonly gate: Gate;
  /** A login by a mechanism that the library does not know. Undefined if the mechanism does not exist. */
  readonly exchange: (mechanism: string) => Exchange | undefined;
  /** The answer to a command that failed by an error of our own. */
  readonly failed: (error: Error) => Reply;
  /** Called for every refusal, by our rules or by the library. A returned reply ends the session. */
  readonly refused: (refusal: SaidRefusal) => Reply | undefined;
  /** The connection is closed or broken: a login that waits is given up. */
  readonly ended: () => void;
  /** What a list of sessions tells of it. */
  readonly describe: () => SessionNote;
  readonly trace: SessionTrace | undefined;
  readonly lineEndings: LineEndings;
}
export type SessionMaker = (client: string, session: SMTPServerSession) => SessionParts;

export interface Patience {
  /** The limit without a complete command, and for a handshake. */
  readonly idleMs: number;
  /** The limit from DATA to the final dot. */
  readonly messageMs: number;
}
