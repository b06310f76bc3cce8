/** What somebody asked of the API server, by the server's own record (its audit log). */
import { readFileSync } from 'node:fs';

export interface Call {
  readonly kind: 'write' | 'read' | 'watch';
  readonly verb: string;
  readonly uri: string;
  readonly resource: string;
  /** Milliseconds that the server took. */
  readonly ms: number;
}

interface Entry {
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
  readonly objectRef?: { readonly resource: string };
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Calls of `user` that the server received since `since`, in milliseconds since the epoch. */
export function callsOf(auditLog: string, user: string, since: number): Call[] {
  const text = readFileSync(auditLog, 'utf8');
  return (
    text
      .slice(0, text.lastIndexOf('\n'))
      .split('\n')
      .filter((line) => line.includes(`"${user}"`))
      .map((line) => JSON.parse(line) as Entry)
      .filter((entry) => Date.parse(entry.requestReceivedTimestamp) >= since)
      // A watch is told of when it begins and when it ends.
      .filter(({ verb, stage }) => verb !== 'watch' || stage === 'ResponseStarted')
      .map(({ verb, requestURI, objectRef, ...entry }) => ({
        kind: WRITES.has(verb) ? 'write' : verb === 'watch' ? 'watch' : 'read',
        verb,
        uri: requestURI,
        resource: objectRef?.resource ?? '',
        ms: Date.parse(entry.stageTimestamp) - Date.parse(entry.requestReceivedTimestamp),
      }))
  );
}
