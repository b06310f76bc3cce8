/**
 * Upgrade and rollback (docs/upgrade.md): what version 8b7b89c stored is read, and what is stored today means the same to
 * it. That version parses the whole value as JSON, posts it as it is, and does not know the table `shaping`. The rows are
 * its own, byte by byte. Never change them.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type PodDirs, podDirs } from '#test/kit/relayrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { newQueueId } from './record.ts';
import { Spool } from './spool.ts';

const ID = '1k8inbcg0bqap5ga';
const BODY = 'Subject: s\r\n\r\nb\r\n';
const RECORD =
  '{"from":"a@x.example","recipients":[{"address":"b@y.example","state":"queued"}],"receivedAt":1795924800000,"smtpUtf8":false,"eightBit":false,"messageId":"m1@x.example","bytes":17,"crc":1431472116,"body":"store"}';
const EVENTS = [
  [
    '1k8inbcg090u02ot',
    '{"id":"1k8inbcg090u02ot","type":"mail.accepted","timestamp":"2026-11-29T04:00:00.000Z","data":{"queueId":"1k8inbcg0bqap5ga","messageId":"m1@x.example","from":"a@x.example","recipients":["b@y.example"],"recipientCount":1,"bytes":18}}',
  ],
  [
    '1k8inbdf86nt4isb',
    '{"id":"1k8inbdf86nt4isb","type":"mail.bounced","timestamp":"2026-11-29T04:00:01.000Z","data":{"queueId":"1k8inbcg0bqap5ga","messageId":"m1@x.example","from":"a@x.example","to":"b@y.example","hop":"mx.y.example:25","cause":"reply","status":"5.1.1","text":"550 5.1.1 No such user"}}',
  ],
] as const;
const BOUNCED =
  '{"bounces":1,"lastAt":1795924801000,"until":1796011201000,"status":"5.1.1","text":"550 5.1.1 No such user"}';

let dirs: PodDirs;
let path: string;
let spool: Spool | undefined;

beforeEach(() => {
  dirs = podDirs();
  mkdirSync(dirs.stateDir, { recursive: true });
  path = join(dirs.stateDir, 'queue.db');
});
afterEach(async () => {
  await spool?.close();
  spool = undefined;
  dirs.remove();
});

function makeOldStore(): void {
  inFile(path, (database) => {
    database.exec('PRAGMA journal_mode = WAL');
    for (const name of ['records', 'bodies', 'damaged', 'events', 'suppressed'])
      database.exec(`CREATE TABLE ${name} (key TEXT PRIMARY KEY, value BLOB NOT NULL)`);
    const put = (table: string, key: string, value: Buffer) =>
      database.prepare(`INSERT INTO ${table} VALUES (?, ?)`).run(key, value);
    put('records', ID, Buffer.concat([Buffer.from('01adc3b00c', 'hex'), Buffer.from(RECORD)]));
    put('bodies', ID, Buffer.from(BODY));
    for (const [key, value] of EVENTS) put('events', key, Buffer.from(value));
    put('suppressed', 'b@y.example', Buffer.from(BOUNCED));
  });
}

const open = () => {
  spool = new Spool(dirs.stateDir, undefined, 'early', { isStart: true });
  return spool;
};
const text = (values: readonly { readonly key: string; readonly value: string }[]) =>
  values.map(({ key, value }) => [key, value]);

test('mail, events and suppressed recipients of version 8b7b89c are read', () => {
  makeOldStore();
  const now = open();
  const loaded = now.load(ID);
  assert.ok(loaded.kind === 'message');
  assert.deepEqual(loaded.record, JSON.parse(RECORD));
  assert.equal((loaded.pieces() as Buffer).toString(), BODY);
  assert.deepEqual(text(now.outbox.list(10)), EVENTS);
  assert.deepEqual(text(now.suppressions.list()), [['b@y.example', BOUNCED]]);
  assert.deepEqual(now.shaping.list(), []);
});

test('what is written today is the same JSON object with one member more, at the end', async () => {
  const now = open();
  const events = EVENTS.map(([key, value]) => ({ key, value }));
  const envelope = {
    from: 'a@x.example',
    recipients: [{ address: 'b@y.example', state: 'queued' as const }],
    receivedAt: 1,
    smtpUtf8: false,
    eightBit: false,
  };
  await now.enter(newQueueId(1), envelope, { kind: 'inline', bytes: Buffer.from(BODY) }, events);
  await now.suppressions.change('b@y.example', () => BOUNCED);
  await now.shaping.put(new Map([['begun y.example', '{}']]));
  assert.deepEqual(text(now.outbox.list(10)), EVENTS);
  assert.deepEqual(text(now.suppressions.list()), [['b@y.example', BOUNCED]]);
  assert.deepEqual(text(now.shaping.list()), [['begun y.example', '{}']]);
  await now.close();
  spool = undefined;
  const rows = inFile(path, (database) =>
    ['events', 'suppressed', 'shaping'].flatMap((table) =>
      (database.prepare(`SELECT value FROM ${table} ORDER BY key`).all() as { value: Uint8Array }[]).map(
        ({ value }) => Buffer.from(value).toString(),
      ),
    ),
  );
  const stored = [...EVENTS.map(([, value]) => value), BOUNCED, '{}'];
  assert.equal(rows.length, stored.length);
  for (const [index, row] of rows.entries()) {
    const before = stored[index] ?? '';
    assert.match(row, /"crc":"[0-9a-f]{8}"}$/);
    const { crc: _, ...members } = JSON.parse(row) as Record<string, unknown>;
    assert.deepEqual(members, JSON.parse(before));
    assert.ok(row.startsWith(before.slice(0, -1)));
  }
});
