/** A history in a folder of its own for each test, and the mail that it is told of. */
import { join } from 'node:path';
import { afterEach, beforeEach } from 'node:test';
import type { HistoryQuery } from '#relay/history/entry.ts';
import { HISTORY_FILE, History } from '#relay/history/history.ts';
import type { MailEvent, MailEventKind } from '#relay/queue/mailevent.ts';
import { newQueueId, type QueueRecord } from '#relay/spool/record.ts';
import { type PodDirs, podDirs } from '#test/kit/relayrig.ts';

export const DAY_MS = 86_400_000;

interface Rig {
  dirs: PodDirs;
  path: string;
  now: number;
  logged: string[];
  lost: number;
  queued: Set<string>;
  opened: History[];
}

function makeRig(): Rig {
  const dirs = podDirs();
  return {
    dirs,
    path: join(dirs.stateDir, HISTORY_FILE),
    now: Date.parse('2026-11-29T04:00:00Z'),
    logged: [],
    lost: 0,
    queued: new Set(),
    opened: [],
  };
}

/** Filled anew before each test. */
export const rig = {} as Rig;
beforeEach(() => {
  Object.assign(rig, makeRig());
});
afterEach(() => {
  for (const history of rig.opened) history.close();
  rig.dirs.remove();
});

export function open(mostBytes = 2 ** 30): History {
  const history = new History({
    path: rig.path,
    keepMs: 7 * DAY_MS,
    mostBytes,
    log: (event) => rig.logged.push(event),
    wall: () => rig.now,
    clock: () => rig.now,
    onLost: (facts) => {
      rig.lost += facts;
    },
    isQueued: (id) => rig.queued.has(id),
  });
  rig.opened.push(history);
  return history;
}

export function accept(history: History, from: string, to: readonly string[], messageId?: string): string {
  const id = newQueueId(rig.now);
  const record: QueueRecord = {
    from,
    recipients: to.map((address) => ({ address, state: 'queued' })),
    receivedAt: rig.now,
    smtpUtf8: false,
    eightBit: false,
    ...(messageId === undefined ? {} : { messageId }),
    bytes: 123,
    crc: 0,
    body: 'store',
  };
  history.queued(id, record);
  rig.queued.add(id);
  return id;
}

export const event = (id: string, to: string, kind: MailEventKind, text = '250 2.0.0 Ok'): MailEvent => ({
  kind,
  id,
  at: rig.now,
  to,
  hop: kind === 'removed' ? null : 'mx.example.net:25',
  cause: null,
  status: null,
  text,
});

export const idsFor = (history: History, query: Partial<HistoryQuery>) =>
  [...history.find({ most: 100, ...query })].map(({ id }) => id);
