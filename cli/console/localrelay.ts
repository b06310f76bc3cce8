/** The relay of `mailrelay run` on this machine, as the console asks it: by its health port and its queue socket. */
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parsePodStatus } from '#crds/podstatus.ts';
import { type OpenSessions, parseOpenSessions } from '#crds/sessions.ts';
import { type HistoryEntry, type HistoryQuery, printQuery } from '#relay/history/entry.ts';
import type { QueueAction, QueueEntry } from '#relay/queue/tools.ts';
import { QueueClient } from '../queueclient.ts';
import type { Result } from '../queuetext.ts';
import { LOG_NAME, readRunNote, SINK_NAME } from '../runnote.ts';
import { readTaken } from '../sink/store.ts';
import type { TakenMessage } from '../sink/taken.ts';
import type { Reading, RelayPod, Relays } from './relays.ts';

const EVERY_MS = 2_000;
const WAIT_MS = 10_000;
const MOST_READ = 512 * 1024;

export class LocalRelay implements Relays, RelayPod {
  readonly everyMs = EVERY_MS;
  readonly name: string;
  readonly #stateDir: string;
  readonly #client: QueueClient;

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
    this.#client = new QueueClient(stateDir);
    this.name = readRunNote(stateDir).name ?? basename(stateDir);
  }

  get title(): string {
    return this.name;
  }

  async pods(): Promise<readonly RelayPod[]> {
    return [this];
  }

  taken(): readonly TakenMessage[] {
    return readTaken(join(this.#stateDir, SINK_NAME));
  }

  async read(): Promise<Reading> {
    // Read each time, because the relay may have been started again with another port.
    const { adminUrl } = readRunNote(this.#stateDir);
    const [text, metrics] = await Promise.all([get(`${adminUrl}/status`), get(`${adminUrl}/metrics`)]);
    const status = parsePodStatus(text);
    if (!status) throw notOurs(adminUrl);
    return { status, metrics };
  }

  async sessions(): Promise<OpenSessions> {
    const { adminUrl } = readRunNote(this.#stateDir);
    const sessions = parseOpenSessions(await get(`${adminUrl}/sessions`));
    if (!sessions) throw notOurs(adminUrl);
    return sessions;
  }

  list(): AsyncIterable<QueueEntry> {
    return this.#client.list();
  }

  show(id: string): Promise<QueueEntry | undefined> {
    return this.#client.show(id);
  }

  act(action: QueueAction, ids: readonly string[]): Promise<readonly Result[]> {
    return this.#client.act(action, ids);
  }

  find(query: HistoryQuery): Promise<readonly HistoryEntry[]> {
    return this.#client.find(printQuery(query));
  }

  /** The end of the file that the live view writes. */
  async log(): Promise<readonly string[]> {
    const file = await open(join(this.#stateDir, LOG_NAME)).catch(() => {
      throw new Error(
        'The log of this relay is in no file: start "mailrelay run" on a terminal, without --log',
      );
    });
    try {
      const { size } = await file.stat();
      const start = Math.max(0, size - MOST_READ);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
      return buffer.toString('utf8', 0, bytesRead).split('\n');
    } finally {
      await file.close();
    }
  }
}

function notOurs(adminUrl: string): Error {
  return new Error(`What answers at ${adminUrl} is no relay of this version: start it again`);
}

async function get(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) });
    return await response.text();
  } catch {
    throw new Error(`No relay answers at ${url}: start it by "mailrelay run"`);
  }
}
