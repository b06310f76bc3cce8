import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { type PodDirs, podDirs } from '#test/kit/relayrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import type { MailEvent, MailEventKind } from '../queue/mailevent.ts';
import { newQueueId, type QueueRecord } from '../spool/record.ts';
import { type HistoryQuery, parseQuery, printQuery } from './entry.ts';
import { HISTORY_FILE, History, removeHistory } from './history.ts';

const DAY_MS = 86_400_000;

let dirs: PodDirs;
let path: string;
let now: number;
let logged: string[];
let lost: number;
let queued: Set<string>;
let opened: History[];

beforeEach(() => {
  dirs = podDirs();
  path = join(dirs.stateDir, HISTORY_FILE);
  now = Date.parse('2026-11-29T04:00:00Z');
  logged = [];
  lost = 0;
  queued = new Set();
  opened = [];
});
afterEach(() => {
  for (const history of opened) history.close();
  dirs.remove();
});

function open(mostBytes = 2 ** 30): History {
  const history = new History({
    path,
    keepMs: 7 * DAY_MS,
    mostBytes,
    log: (event) => logged.push(event),
    wall: () => now,
    onLost: (facts) => {
      lost += facts;
    },
    isQueued: (id) => queued.has(id),
  });
  opened.push(history);
  return history;
}

function accept(history: History, from: string, to: readonly string[], messageId?: string): string {
  const id = newQueueId(now);
  const record: QueueRecord = {
    from,
    recipients: to.map((address) => ({ address, state: 'queued' })),
    receivedAt: now,
    smtpUtf8: false,
    eightBit: false,
    ...(messageId === undefined ? {} : { messageId }),
    bytes: 123,
    crc: 0,
    body: 'store',
  };
  history.queued(id, record);
  queued.add(id);
  return id;
}

const event = (id: string, to: string, kind: MailEventKind, text = '250 2.0.0 Ok'): MailEvent => ({
  kind,
  id,
  at: now,
  to,
  hop: kind === 'removed' ? null : 'mx.example.net:25',
  cause: null,
  status: null,
  text,
});

const idsFor = (history: History, query: Partial<HistoryQuery>) =>
  [...history.find({ most: 100, ...query })].map(({ id }) => id);

test('mail whose recipients are all suppressed is found, though no queue ever had it', () => {
  const history = open();
  const id = newQueueId(now);
  const discarded = [{ address: 'gone@y.example', given: ['old@y.example'] }];
  const record = { from: 'a@x.example', recipients: [], discarded, receivedAt: now, bytes: 9 };
  history.queued(id, { ...record, messageId: 'm1' });
  for (const query of [{ recipient: 'old@y.example' }, { messageId: 'm1' }, { sender: 'a@x.example' }])
    assert.deepEqual(idsFor(history, query), [id], JSON.stringify(query));
  const [entry] = history.find({ id, most: 1 });
  assert.deepEqual(
    entry?.recipients.map(({ address, state }) => [address, state]),
    [['gone@y.example', 'discarded']],
  );
});

test('a message is found with its answers, after it is gone and after the file was opened again', () => {
  const first = open();
  const id = accept(
    first,
    'app@client.example',
    ['joe@partner.example', 'ann@partner.example'],
    'm1@client.example',
  );
  first.happened([event(id, 'joe@partner.example', 'deferred', '451 4.7.1 Later')]);
  now += 1_000;
  first.happened([
    event(id, 'joe@partner.example', 'delivered'),
    event(id, 'ann@partner.example', 'bounced', '550 5.1.1 No'),
  ]);
  queued.delete(id);
  first.close();
  const [entry] = open().find({ address: 'JOE@partner.example', most: 1 });
  assert.deepEqual(entry, {
    id,
    from: 'app@client.example',
    received: '2026-11-29T04:00:00Z',
    bytes: 123,
    messageId: 'm1@client.example',
    recipients: [
      {
        address: 'ann@partner.example',
        state: 'bounced',
        answers: [
          { time: '2026-11-29T04:00:01Z', result: 'bounced', hop: 'mx.example.net:25', text: '550 5.1.1 No' },
        ],
      },
      {
        address: 'joe@partner.example',
        state: 'delivered',
        answers: [
          {
            time: '2026-11-29T04:00:00Z',
            result: 'deferred',
            hop: 'mx.example.net:25',
            text: '451 4.7.1 Later',
          },
          {
            time: '2026-11-29T04:00:01Z',
            result: 'delivered',
            hop: 'mx.example.net:25',
            text: '250 2.0.0 Ok',
          },
        ],
      },
    ],
  });
});

test('an address is found however a person writes it', () => {
  const history = open();
  const id = accept(history, '"a..b"@xn--bcher-kva.example', ['joe@partner.example']);
  for (const text of [
    'bücher.example',
    'BÜCHER.example.',
    'xn--bcher-kva.example',
    'a..b@bücher.example',
    '"A..b"@xn--bcher-kva.example.',
    'joe@PARTNER.example.',
  ])
    assert.deepEqual(idsFor(history, { address: text }), [id], text);
  for (const text of ['bucher.example', 'a..c@bücher.example', 'joe', '"joe"@partner.example'])
    assert.deepEqual(idsFor(history, { address: text }), [], text);
});

test('by sender, recipient, either, domain, id, Message-ID and time; everything that is given must fit', () => {
  const history = open();
  const a = accept(history, 'app@client.example', ['joe@partner.example'], 'm1@client.example');
  now += 60_000;
  const b = accept(history, 'joe@partner.example', ['app@client.example']);
  const bounce = accept(history, '', ['app@client.example']);
  const under = accept(history, 'x@sub.partner.example', ["o'neil@partner.example"]);
  const newestFirst = (...ids: string[]) => ids.toSorted().toReversed();
  assert.deepEqual(idsFor(history, { sender: 'app@client.example' }), [a]);
  assert.deepEqual(idsFor(history, { recipient: 'joe@partner.example' }), [a]);
  assert.deepEqual(idsFor(history, { address: 'joe@partner.example' }), newestFirst(a, b));
  assert.deepEqual(idsFor(history, { address: 'partner.example' }), newestFirst(a, b, under));
  assert.deepEqual(idsFor(history, { sender: 'sub.partner.example' }), [under]);
  assert.deepEqual(idsFor(history, { recipient: "o'neil@partner.example" }), [under]);
  assert.deepEqual(idsFor(history, { sender: '<>' }), [bounce]);
  assert.deepEqual(idsFor(history, { id: b }), [b]);
  assert.deepEqual(idsFor(history, { messageId: '<m1@client.example>' }), [a]);
  assert.deepEqual(idsFor(history, { after: now }), newestFirst(b, bounce, under));
  assert.deepEqual(idsFor(history, { before: now }), [a]);
  assert.deepEqual(idsFor(history, { address: 'joe@partner.example', before: now }), [a]);
  assert.deepEqual(idsFor(history, { address: 'example' }), []);
  assert.deepEqual(idsFor(history, {}).length, 4);
  assert.deepEqual(idsFor(history, { most: 2 }).length, 2);
});

test('by the addresses that the client gave, which are told beside those that they became', () => {
  const history = open();
  const id = newQueueId(now);
  const recipient = (address: string, ...given: string[]) => ({ address, state: 'queued' as const, given });
  history.queued(id, {
    from: 'SRS0=hash=AB=x.example=noreply@y.example',
    reportsTo: 'noreply@x.example',
    givenFrom: 'app@x.example',
    recipients: [recipient('ann@provider.example', 'info@y.example', 'sales@y.example')],
    discarded: [{ address: 'gone@y.example', given: ['old@y.example'] }],
    messageId: 'm1@x.example',
    receivedAt: now,
    bytes: 1,
  });
  for (const query of [
    { sender: 'App@x.example' },
    { sender: 'noreply@x.example' },
    { sender: 'x.example' },
    { recipient: 'sales@y.example' },
    { recipient: 'old@y.example' },
    { recipient: 'gone@y.example' },
    { address: 'info@y.example' },
    { address: 'app@x.example', recipient: 'ann@provider.example' },
  ])
    for (const more of [{}, { id }, { messageId: 'm1@x.example' }])
      assert.deepEqual(idsFor(history, { ...query, ...more }), [id], JSON.stringify(query));
  for (const query of [{ recipient: 'app@x.example' }, { sender: 'sales@y.example' }])
    for (const more of [{}, { id }, { messageId: 'm1@x.example' }])
      assert.deepEqual(idsFor(history, { ...query, ...more }), [], JSON.stringify(query));
  const [entry] = history.find({ id, most: 1 });
  assert.deepEqual(entry?.originalFrom, ['app@x.example', 'noreply@x.example']);
  assert.deepEqual(
    entry?.recipients.map(({ address, originalTo, state }) => [address, originalTo, state]),
    [
      ['ann@provider.example', ['info@y.example', 'sales@y.example'], 'gone'],
      ['gone@y.example', ['old@y.example'], 'discarded'],
    ],
  );
});

test('all that fit are counted, however few are asked for', () => {
  const history = open();
  for (let count = 0; count < 5; count++)
    accept(history, 'app@client.example', [`${count % 2}@partner.example`]);
  const count = (query: Partial<HistoryQuery>) => history.count({ most: 1, ...query });
  assert.deepEqual(
    [count({}), count({ recipient: '0@partner.example' }), count({ address: 'partner.example' })],
    [5, 3, 5],
  );
  assert.equal(count({ sender: 'nobody@client.example' }), 0);
});

test('beside an id, only the messages with the id are looked through, however many an address has', (context) => {
  const history = open();
  accept(history, 'app@x.example', ['ann@y.example'], 'm1@x.example');
  assert.equal(idsFor(history, {}).length, 1);
  const prepare = context.mock.method(DatabaseSync.prototype, 'prepare');
  for (const by of [{ messageId: 'none' }, { id: 'none' }])
    for (const query of [{ recipient: 'ann@y.example' }, { sender: 'x.example' }, { address: 'y.example' }])
      assert.deepEqual(idsFor(history, { ...by, ...query }), []);
  const queries = prepare.mock.calls.flatMap(({ arguments: [sql] }) =>
    sql.includes('FROM messages m') ? [sql] : [],
  );
  prepare.mock.restore();
  assert.equal(queries.length, 6);
  for (const sql of queries) {
    const values = [...sql.matchAll(/\?/g)].map(() => 1);
    const plan = inFile(path, (file) => file.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values));
    const steps = plan.map(({ detail }) => `${detail}`).filter((detail) => /^(SEARCH|SCAN) /.test(detail));
    for (const step of steps) assert.match(step, /^SEARCH .*\((?:message_)?id=\?/, sql);
  }
});

test('a file of before has no original addresses, and gets them from then on', () => {
  accept(open(), 'app@x.example', ['ann@y.example']);
  opened[0]?.close();
  inFile(path, (file) => file.exec('DROP TABLE originals'));
  const history = open();
  const id = accept(history, 'b@x.example', ['bob@y.example']);
  assert.deepEqual(idsFor(history, { recipient: 'bob@y.example' }), [id]);
  assert.equal(idsFor(history, {}).length, 2);
  assert.deepEqual(logged, []);
});

test('the state is that of the last answer, else that of the queue', () => {
  const history = open();
  const id = accept(history, 'a@b.example', ['r@partner.example']);
  const state = () => [...history.find({ id, most: 1 })][0]?.recipients[0]?.state;
  assert.equal(state(), 'queued');
  history.happened([event(id, 'r@partner.example', 'deferred')]);
  assert.equal(state(), 'queued');
  queued.delete(id);
  assert.equal(state(), 'gone');
  history.happened([event(id, 'r@partner.example', 'removed')]);
  assert.equal(state(), 'removed');
});

test('a message that is told again at a start is there once', () => {
  const history = open();
  const id = accept(history, 'a@b.example', ['r@partner.example']);
  const record = { from: 'a@b.example', bytes: 1, recipients: [] } as unknown as QueueRecord;
  history.queued(id, record);
  assert.deepEqual(idsFor(history, {}), [id]);
});

test('it forgets what is too old, with all answers', async () => {
  const history = open();
  for (let count = 0; count < 450; count++) {
    const id = accept(history, 'a@b.example', ['r@partner.example']);
    history.happened([event(id, 'r@partner.example', 'delivered')]);
  }
  now += 6 * DAY_MS;
  const young = accept(history, 'a@b.example', ['r@partner.example']);
  await history.forget();
  assert.equal(idsFor(history, { most: 1_000 }).length, 451);
  now += 2 * DAY_MS;
  await history.forget();
  assert.deepEqual(idsFor(history, { most: 1_000 }), [young]);
});

test('it forgets the oldest when it takes more than its share of the volume', async () => {
  const history = open(300_000);
  for (let count = 0; count < 2_000; count++) {
    now += 1;
    const id = accept(history, 'a@b.example', [`${count}@partner.example`]);
    history.happened([event(id, `${count}@partner.example`, 'delivered')]);
  }
  const newest = idsFor(history, { most: 1 });
  await history.forget();
  const left = idsFor(history, { most: 10_000 });
  assert.ok(left.length > 100 && left.length < 1_500, `${left.length}`);
  assert.deepEqual(left.slice(0, 1), newest);
});

/** Of the file itself: what belongs to no message is found by no query. */
const countAnswers = () =>
  inFile(path, (file) => file.prepare('SELECT count(*) AS count FROM answers').get()?.['count']);

test('answers of a message that is forgotten already are not kept', async () => {
  const history = open();
  const id = accept(history, 'a@b.example', ['r@partner.example']);
  history.happened([event(id, 'r@partner.example', 'deferred')]);
  history.write();
  assert.equal(countAnswers(), 1);
  now += 8 * DAY_MS;
  await history.forget();
  history.happened([event(id, 'r@partner.example', 'deferred')]);
  history.write();
  assert.equal(countAnswers(), 0);
});

test('forgetting ends where nothing is left to forget, however large the file is', async () => {
  const history = open(1);
  await history.forget();
  inFile(path, (file) => {
    const put = file.prepare("INSERT INTO answers VALUES (?, 0, 'r@partner.example', 'deferred', NULL, '')");
    file.exec('BEGIN');
    for (let count = 0; count < 500; count++) put.run(newQueueId(now - DAY_MS));
    file.exec('COMMIT');
  });
  await history.forget();
  accept(history, 'a@b.example', ['r@partner.example']);
  history.write();
  await history.forget();
  assert.equal(countAnswers(), 0, 'they went with the next message');
});

test('closing ends the forgetting, and no later fact opens the file again', async () => {
  const history = open(1);
  for (let count = 0; count < 1_000; count++) accept(history, 'a@b.example', ['r@partner.example']);
  const forgetting = history.forget();
  history.close();
  removeHistory(path);
  await forgetting;
  accept(history, 'a@b.example', ['r@partner.example']);
  history.write();
  await history.forget();
  assert.equal(existsSync(path), false);
});

test('a damaged file, and one of another version, are begun anew', () => {
  for (const damage of [Buffer.alloc(8_192, 'x'), Buffer.from('SQLite format 3\0')]) {
    removeHistory(path);
    writeFileSync(path, damage);
    const history = open();
    const id = accept(history, 'a@b.example', ['r@partner.example']);
    assert.deepEqual(idsFor(history, {}), [id]);
    history.close();
    assert.ok(logged.includes('history_begun_anew'));
  }
});

test('a file that cannot be written costs the facts, is told once, and mail goes on', () => {
  path = join(dirs.stateDir, 'missing', HISTORY_FILE);
  const history = new History({
    path,
    keepMs: DAY_MS,
    mostBytes: 2 ** 20,
    log: (name) => logged.push(name),
    wall: () => now,
    onLost: (facts) => {
      lost += facts;
    },
    isQueued: () => false,
  });
  for (let times = 0; times < 3; times++) {
    accept(history, 'a@b.example', ['r@partner.example']);
    history.write();
  }
  history.close();
  assert.equal(lost, 3);
  assert.deepEqual(logged, ['history_not_written']);
});

test('where the policy wants none, none is left', () => {
  const history = open();
  accept(history, 'a@b.example', ['r@partner.example']);
  history.close();
  assert.ok(existsSync(path));
  removeHistory(path);
  assert.equal(existsSync(path), false);
});

test('a query survives its way over the socket; other parameters are refused', () => {
  const query = { address: 'o+neil&x=1@b.example', after: 5, before: 7, most: 3 };
  assert.deepEqual(parseQuery(new URLSearchParams(printQuery(query))), query);
  for (const wrong of ['most=1&what=1', 'most=x', 'most=-1', 'most=1&after=1.5'])
    assert.equal(parseQuery(new URLSearchParams(wrong)), undefined, wrong);
  assert.equal(parseQuery(new URLSearchParams('most=99999999'))?.most, 10_001);
});
