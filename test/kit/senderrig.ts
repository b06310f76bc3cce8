/** A sender of events over a real spool, with a receiver whose answers the test gives. Each test has its own. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach } from 'node:test';
import { encodeArrival } from '#relay/events/encode.ts';
import type { Posted } from '#relay/events/post.ts';
import { EventSender } from '#relay/events/sender.ts';
import { newQueueId } from '#relay/spool/record.ts';
import { Spool } from '#relay/spool/spool.ts';
import { type PodDirs, podDirs } from '#test/kit/relayrig.ts';

export const TAKEN: Posted = { kind: 'taken' };
export const REFUSED: Posted = { kind: 'failed', reason: 'HTTP status 429' };

interface Rig {
  dirs: PodDirs;
  spool: Spool;
  now: number;
  posts: { body: string; headers: Readonly<Record<string, string>> }[];
  answer: () => Posted | Promise<Posted>;
  counts: Record<string, number>;
  logged: string[];
  keys: readonly Buffer[] | undefined;
  senders: EventSender[];
}

function makeRig(): Rig {
  const dirs = podDirs();
  return {
    dirs,
    spool: new Spool(dirs.stateDir),
    now: 1_000_000,
    posts: [],
    counts: {},
    logged: [],
    keys: [randomBytes(24)],
    senders: [],
    answer: () => TAKEN,
  };
}

/** Filled anew before each test. */
export const rig = {} as Rig;
beforeEach(() => {
  Object.assign(rig, makeRig());
});
afterEach(async () => {
  for (const sender of rig.senders) await sender.close();
  await rig.spool.close();
  rig.dirs.remove();
});

export function begin(most?: number): EventSender {
  const sender = new EventSender({
    relay: { name: 'relay', namespace: 'mail' },
    outbox: rig.spool.outbox,
    readKeys: () => rig.keys,
    post: async (body, headers) => {
      rig.posts.push({ body: body.toString(), headers });
      return rig.answer();
    },
    ...(most === undefined ? {} : { most }),
    log: (event) => rig.logged.push(event),
    count: (result, count) => {
      rig.counts[result] = (rig.counts[result] ?? 0) + count;
    },
    clock: () => rig.now,
    wall: () => rig.now,
    random: () => 1,
  });
  rig.senders.push(sender);
  return sender;
}

/** Messages as a listener enters them, each with its event. */
export async function accept(count: number, from = 'a@b.example'): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const id = newQueueId(rig.now + index);
      const recipients = [{ address: 'r@partner.example', state: 'queued' as const }];
      const envelope = { from, recipients, receivedAt: rig.now + index, smtpUtf8: false, eightBit: false };
      const bytes = Buffer.from('Subject: s\r\n\r\nbody\r\n');
      return rig.spool.enter(id, envelope, { kind: 'inline', bytes }, [
        ...encodeArrival(id, envelope, bytes.length),
      ]);
    }),
  );
}

export const eventsIn = ({
  body,
}: {
  body: string;
}): { id: string; type: string; data: { from: string } }[] => JSON.parse(body).data.events;
