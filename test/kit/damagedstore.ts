/** Stores that a test damages, and what a relay takes up from them. Their folder goes with the test file. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type Envelope, newQueueId } from '#relay/spool/record.ts';
import { Spool } from '#relay/spool/spool.ts';

export const PAGE_BYTES = 4_096;
export const folder = mkdtempSync(join(tmpdir(), 'mailrelay-damage-'));
after(() => rmSync(folder, { recursive: true, force: true }));

export const envelope: Envelope = {
  from: 'me@example.com',
  recipients: [{ address: 'you@example.net', state: 'queued', reason: 'x'.repeat(700) }],
  receivedAt: 1,
  smtpUtf8: false,
  eightBit: false,
};

/** What waits beside the mail, by key. */
interface Extras {
  readonly events: Map<string, string>;
  readonly suppressed: Map<string, string>;
  readonly shaping: Map<string, string>;
}

export function extrasOf(spool: Spool): Extras {
  const events = spool.outbox.list(1_000).map(({ key, value }) => [key, value.toString()] as const);
  const [suppressed, shaping] = [spool.suppressions.list(), spool.shaping.list()];
  return {
    events: new Map(events),
    suppressed: new Map(suppressed.map(({ key, value }) => [key, value.toString()])),
    shaping: new Map(shaping.map(({ key, value }) => [key, value.toString()])),
  };
}

/**
 * Trees of several levels with deleted entries, so that pages are free. The store is closed, so everything is in one
 * file.
 */
export async function makeStore(dir: string, beginning = Buffer.alloc(0)): Promise<Map<string, Buffer>> {
  const spool = new Spool(dir);
  const bodies = new Map<string, Buffer>();
  const enter = async (index: number) => {
    const id = newQueueId(1_700_000_000_000 + index);
    const body = Buffer.concat([beginning, randomBytes(1 + ((index * 911) % 7_000))]);
    const event = JSON.stringify({ id: index, text: 'e'.repeat(500) });
    const key = newQueueId(1_700_000_100_000 + index);
    await spool.enter(id, envelope, { kind: 'inline', bytes: body }, [{ key, value: event }]);
    const bounced = JSON.stringify({ bounces: index, text: 's'.repeat(200) });
    await spool.suppressions.change(`${index}@example.net`, () => bounced);
    const begun = JSON.stringify({ kind: 'begun', name: 'n'.repeat(200), index });
    await spool.shaping.put(new Map([[`begun ${index}.example`, begun]]));
    bodies.set(id, body);
  };
  await Promise.all(Array.from({ length: 60 }, (_, index) => enter(index)));
  for (const id of [...bodies.keys()].filter((_, index) => index % 7 === 3)) {
    const read = spool.read(id);
    assert.ok(read.kind === 'message');
    await spool.settle(id, { ...read.record, recipients: [] });
    bodies.delete(id);
  }
  await spool.close();
  return bodies;
}

/** Loads the messages as the router does at its start: unreadable entries are set aside. */
export async function takeUp(spool: Spool): Promise<Map<string, Buffer>> {
  const arrived = new Map<string, Buffer>();
  for (const id of spool.list()) {
    const loaded = spool.load(id);
    if (loaded.kind === 'damaged') await spool.setAside(id);
    if (loaded.kind === 'message') arrived.set(id, loaded.pieces() as Buffer);
  }
  return arrived;
}
