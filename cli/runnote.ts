/** A file in the state folder of `mailrelay run`, by which other commands find its health port. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADMIN_PORT } from '#crds/wellknown.ts';

const NOTE = 'run.json';
/** The log of the processes, if `mailrelay run` shows its live view. */
export const LOG_NAME = 'relay.log';

export interface RunNote {
  /** NAMESPACE/NAME of the MailRelay. Undefined if the relay wrote no note. */
  readonly name?: string;
  readonly adminUrl: string;
}

export function writeRunNote(stateDir: string, note: RunNote): void {
  writeFileSync(join(stateDir, NOTE), `${JSON.stringify(note)}\n`, { mode: 0o600 });
}

/** Without a readable note, the health port is the usual one. */
export function readRunNote(stateDir: string): RunNote {
  const usual = { adminUrl: `http://127.0.0.1:${ADMIN_PORT}` };
  try {
    return { ...usual, ...(JSON.parse(readFileSync(join(stateDir, NOTE), 'utf8')) as Partial<RunNote>) };
  } catch {
    return usual;
  }
}
