/** What the history finds: messages by their addresses and times, with their answers and their state. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { accept, event, idsFor, open, rig } from '#test/kit/historyrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { newQueueId, type QueueRecord } from '../spool/record.ts';
import { type HistoryQuery, parseQuery, printQuery } from './entry.ts';

test('mail whose recipients are all suppressed is found, though no queue ever had it', () => {
  const history = open();
  const id = newQueueId(rig.now);
  const discarded = [{ address: 'gone@y.example', given: ['old@y.example'] }];
  const record = { from: 'a@x.example', recipients: [], discarded, receivedAt: rig.now, bytes: 9 };
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
  rig.now += 1_000;
  first.happened([
    event(id, 'joe@partner.example', 'delivered'),
    event(id, 'ann@partner.example', 'bounced', '550 5.1.1 No'),
  ]);
  rig.queued.delete(id);
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
  rig.now += 60_000;
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
  assert.deepEqual(idsFor(history, { after: rig.now }), newestFirst(b, bounce, under));
  assert.deepEqual(idsFor(history, { before: rig.now }), [a]);
  assert.deepEqual(idsFor(history, { address: 'joe@partner.example', before: rig.now }), [a]);
  assert.deepEqual(idsFor(history, { address: 'example' }), []);
  assert.deepEqual(idsFor(history, {}).length, 4);
  assert.deepEqual(idsFor(history, { most: 2 }).length, 2);
});

test('by the addresses that the client gave, which are told beside those that they became', () => {
  const history = open();
  const id = newQueueId(rig.now);
  const recipient = (address: string, ...given: string[]) => ({ address, state: 'queued' as const, given });
  history.queued(id, {
    from: 'SRS0=hash=AB=x.example=noreply@y.example',
    reportsTo: 'noreply@x.example',
    givenFrom: 'app@x.example',
    recipients: [recipient('ann@provider.example', 'info@y.example', 'sales@y.example')],
    discarded: [{ address: 'gone@y.example', given: ['old@y.example'] }],
    messageId: 'm1@x.example',
    receivedAt: rig.now,
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
    const plan = inFile(rig.path, (file) => file.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values));
    const steps = plan.map(({ detail }) => `${detail}`).filter((detail) => /^(SEARCH|SCAN) /.test(detail));
    for (const step of steps) assert.match(step, /^SEARCH .*\((?:message_)?id=\?/, sql);
  }
});

test('a file of before has no original addresses, and gets them from then on', () => {
  accept(open(), 'app@x.example', ['ann@y.example']);
  rig.opened[0]?.close();
  inFile(rig.path, (file) => file.exec('DROP TABLE originals'));
  const history = open();
  const id = accept(history, 'b@x.example', ['bob@y.example']);
  assert.deepEqual(idsFor(history, { recipient: 'bob@y.example' }), [id]);
  assert.equal(idsFor(history, {}).length, 2);
  assert.deepEqual(rig.logged, []);
});

test('the state is that of the last answer, else that of the queue', () => {
  const history = open();
  const id = accept(history, 'a@b.example', ['r@partner.example']);
  const state = () => [...history.find({ id, most: 1 })][0]?.recipients[0]?.state;
  assert.equal(state(), 'queued');
  history.happened([event(id, 'r@partner.example', 'deferred')]);
  assert.equal(state(), 'queued');
  rig.queued.delete(id);
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

test('a query survives its way over the socket; other parameters are refused', () => {
  const query = { address: 'o+neil&x=1@b.example', after: 5, before: 7, most: 3 };
  assert.deepEqual(parseQuery(new URLSearchParams(printQuery(query))), query);
  for (const wrong of ['most=1&what=1', 'most=x', 'most=-1', 'most=1&after=1.5'])
    assert.equal(parseQuery(new URLSearchParams(wrong)), undefined, wrong);
  assert.equal(parseQuery(new URLSearchParams('most=99999999'))?.most, 10_001);
});
