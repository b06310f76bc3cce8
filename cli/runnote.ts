/** A file in the state folder of `mailrelay run`, by which other commands find its health port. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeSystemError } from '#crds/systemwords.ts';
import { ADMIN_PORT } from '#crds/wellknown.ts';

export const RUN_NOTE = 'run.json';
/** The log of the processes, if `mailrelay run` shows its live view. */
export const LOG_NAME = 'relay.log';
/** The folder of the sink, if one was started behind the relay. */
export const SINK_NAME = 'sink';

export interface RunNote {
  /** NAMESPACE/NAME of the MailRelay. Undefined if the relay wrote no note. */
  readonly name?: string;
  readonly adminUrl: string;
}

/** Returns why it cannot be written, with what to do then: mail does not need the note. */
export function writeRunNote(stateDir: string, note: RunNote): string | undefined {
  const path = join(stateDir, RUN_NOTE);
  try {
    writeFileSync(path, `${JSON.stringify(note)}\n`, { mode: 0o600 });
    return undefined;
  } catch (error) {
    const { hostname, port } = new URL(note.adminUrl);
    const way = `--address ${hostname} --admin-port ${port}`;
    return `Cannot write "${path}": ${describeSystemError(error)}; "mailrelay status" finds this relay by ${way}`;
  }
}

/** Without a readable note, the health port is the usual one. */
export function readRunNote(stateDir: string): RunNote {
  const usual = { adminUrl: `http://127.0.0.1:${ADMIN_PORT}` };
  try {
    return { ...usual, ...(JSON.parse(readFileSync(join(stateDir, RUN_NOTE), 'utf8')) as Partial<RunNote>) };
  } catch {
    return usual;
  }
}
