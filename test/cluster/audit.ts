/**
 * What somebody asked of the API server, by the server's own record (its audit log). The log grows for the whole run and
 * is asked many times a second, so each of its lines is read once.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface Call {
  readonly kind: 'write' | 'read' | 'watch';
  readonly verb: string;
  readonly uri: string;
  readonly resource: string;
  /** Milliseconds that the server took. */
  readonly ms: number;
}

interface Entry {
  readonly auditID: string;
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
  readonly objectRef?: { readonly resource: string };
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);
const NEWLINE = 10;

export class AuditLog {
  readonly #path: string;
  readonly #user: string;
  /** Each call with the time at which the server received it. */
  readonly #calls: { readonly at: number; readonly call: Call }[] = [];
  /** Calls that the server has not answered, by their audit ID. */
  readonly #pending = new Map<string, Call>();
  /** The bytes that are read: they end with a line. */
  #read = 0;

  constructor(path: string, user: string) {
    this.#path = path;
    this.#user = user;
  }

  /** Calls of the user that wait for their answer. */
  pending(): Call[] {
    this.#readOn();
    return [...this.#pending.values()];
  }

  /** A server that was ended tells of no answer any more. */
  forgetPending(): void {
    this.#readOn();
    this.#pending.clear();
  }

  /** Answered calls of the user that the server received since `since`, in milliseconds since the epoch. */
  calls(since: number): Call[] {
    this.#readOn();
    return this.#calls.filter(({ at }) => at >= since).map(({ call }) => call);
  }

  #readOn(): void {
    const fresh = readFrom(this.#path, this.#read);
    const whole = fresh.subarray(0, fresh.lastIndexOf(NEWLINE) + 1);
    this.#read += whole.length;
    for (const line of whole.toString().split('\n')) {
      if (!line.includes(`"${this.#user}"`)) continue;
      const entry = JSON.parse(line) as Entry;
      if (entry.stage === 'RequestReceived') {
        this.#pending.set(entry.auditID, readCall(entry));
        continue;
      }
      this.#pending.delete(entry.auditID);
      // A watch is told of when it begins and when it ends.
      if (entry.verb === 'watch' && entry.stage !== 'ResponseStarted') continue;
      this.#calls.push({ at: Date.parse(entry.requestReceivedTimestamp), call: readCall(entry) });
    }
  }
}

function readCall({ verb, requestURI, objectRef, requestReceivedTimestamp, stageTimestamp }: Entry): Call {
  return {
    kind: WRITES.has(verb) ? 'write' : verb === 'watch' ? 'watch' : 'read',
    verb,
    uri: requestURI,
    resource: objectRef?.resource ?? '',
    ms: Date.parse(stageTimestamp) - Date.parse(requestReceivedTimestamp),
  };
}

function readFrom(path: string, position: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - position));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, position));
  } finally {
    closeSync(file);
  }
}
