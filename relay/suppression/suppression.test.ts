import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { MESSAGE_FOR_ONE } from '#crds/failure.ts';
import { type PodDirs, podDirs } from '#test/kit/relayrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { eventually } from '#test/kit/wait.ts';
import { keyOf } from '../addresses/addressmap.ts';
import { judgeReply, type Verdict } from '../delivery/verdict.ts';
import { listVerdicts, type MailEvent } from '../queue/mailevent.ts';
import { Spool } from '../spool/spool.ts';
import { countsAsBounce, isSuppressed } from './entry.ts';
import { type SuppressionDeps, SuppressionList } from './suppressionlist.ts';

const DAY_MS = 86_400_000;
const TERMS: SuppressionDeps['terms'] = {
  seconds: 7 * 86_400,
  bounces: 2,
  statuses: ['5.1.1', '5.2.*'],
  action: 'Refuse',
};

let dirs: PodDirs;
let spool: Spool;
let now: number;
let logged: string[];
let lists: SuppressionList[];

beforeEach(() => {
  dirs = podDirs();
  spool = new Spool(dirs.stateDir);
  now = Date.parse('2026-11-29T04:00:00Z');
  logged = [];
  lists = [];
});
afterEach(async () => {
  for (const list of lists) list.close();
  await spool.close();
  dirs.remove();
});

function open(changes: Partial<SuppressionDeps> = {}): SuppressionList {
  const log = (event: string) => logged.push(event);
  const list = new SuppressionList({
    terms: TERMS,
    recipients: spool.suppressions,
    log,
    wall: () => now,
    ...changes,
  });
  lists.push(list);
  return list;
}

const bounce = (to: string, changes: Partial<MailEvent> = {}): MailEvent => ({
  kind: 'bounced',
  id: '1k86ld9njg720qjr',
  at: now,
  to,
  hop: 'mx.example.net:25',
  cause: 'reply',
  status: '5.1.1',
  text: '550 5.1.1 No such user',
  ...changes,
});

const isOut = (address: string) => isSuppressed(spool.suppressions.find(keyOf(address)), now);
const bounces = (address: string) => {
  const value = spool.suppressions.find(address);
  return value ? (JSON.parse(value.toString()).bounces as number) : 0;
};

test('a recipient is suppressed after enough bounces, in any case, until the time is over', async () => {
  const list = open();
  list.learn([bounce('Joe@partner.example')]);
  await eventually(() => bounces('joe@partner.example') === 1);
  assert.equal(isOut('joe@partner.example'), false);
  now += DAY_MS;
  list.learn([bounce('joe@PARTNER.example')]);
  await eventually(() => isOut('joe@partner.example'));
  assert.deepEqual(
    [...list.list()],
    [
      {
        address: 'joe@partner.example',
        until: '2026-12-07T04:00:00Z',
        bounces: 2,
        status: '5.1.1',
        text: '550 5.1.1 No such user',
      },
    ],
  );
  now += 7 * DAY_MS;
  assert.equal(isOut('joe@partner.example'), false);
  assert.deepEqual([...list.list()], []);
  await list.sweep();
  assert.equal(spool.suppressions.size, 0);
});

test('a bounce that is long ago does not count any more', async () => {
  const list = open();
  list.learn([bounce('joe@partner.example')]);
  await eventually(() => bounces('joe@partner.example') === 1);
  now += 7 * DAY_MS;
  list.learn([bounce('joe@partner.example')]);
  await eventually(() =>
    (spool.suppressions.find('joe@partner.example')?.toString() ?? '').includes(`${now}`),
  );
  assert.equal(bounces('joe@partner.example'), 1);
});

test('only the word of a next hop with one of the statuses counts', () => {
  for (const [changes, counts] of [
    [{}, true],
    [{ status: '5.2.1' }, true],
    [{ status: '5.2.99' }, true],
    [{ status: '5.1.10' }, false],
    [{ status: '5.0.0' }, false],
    [{ status: '5.7.1' }, false],
    [{ status: null }, false],
    [{ kind: 'deferred', status: '4.1.1' }, false],
    [{ kind: 'expired' }, false],
    [{ kind: 'delivered', cause: null, status: '2.1.5' }, false],
    [{ cause: 'policy' }, false],
    [{ cause: 'dns' }, false],
  ] as const)
    assert.equal(countsAsBounce(bounce('a@b.example', changes), TERMS), counts, JSON.stringify(changes));
});

test('what a next hop says of the sender, or of a message for several, is no bounce of a recipient', () => {
  const said = (command: string) => judgeReply(550, '550 5.1.1 no such user', command);
  const taken = judgeReply(250, '250 ok');
  const counted = (...verdicts: Verdict[]) => {
    const recipients = verdicts.map((_, n) => ({ address: `${n}@b.example`, state: 'queued' as const }));
    const byAddress = new Map(verdicts.map((verdict, n) => [`${n}@b.example`, verdict]));
    const attempt = { id: '1k86ld9njg720qjr', at: now, hop: 'mx.example.net:25' };
    const events = listVerdicts({ recipients }, byAddress, attempt);
    return events.map((event) => countsAsBounce(event, TERMS));
  };
  assert.deepEqual(counted(said('RCPT TO'), taken, said('RCPT TO')), [true, false, true]);
  assert.deepEqual(counted(said('MAIL FROM')), [false]);
  assert.deepEqual(counted(said('MAIL FROM'), said('MAIL FROM')), [false, false]);
  assert.deepEqual(counted(said('DATA')), [true]);
  assert.deepEqual(counted(said('RCPT TO'), said('DATA')), [true, true]);
  assert.deepEqual(counted(said('DATA'), said('DATA')), [false, false]);
  assert.deepEqual(counted(said('DATA'), taken), [false, false]);
  const own = said(MESSAGE_FOR_ONE);
  assert.deepEqual(counted(own, taken, own, said('RCPT TO')), [true, false, true, true], 'LMTP');
});

test('a lifted recipient gets mail again, and has no bounces', async () => {
  const list = open({ terms: { ...TERMS, bounces: 1 } });
  list.learn([bounce('joe@partner.example')]);
  await eventually(() => isOut('joe@partner.example'));
  assert.ok(isOut('"joe"@partner.example'), 'quotes do not matter');
  assert.deepEqual(await list.lift(['JOE@partner.example', 'ann@partner.example']), [
    { address: 'JOE@partner.example', result: 'done' },
    { address: 'ann@partner.example', result: 'gone' },
  ]);
  assert.equal(isOut('joe@partner.example'), false);
  assert.equal(bounces('joe@partner.example'), 0);
});

test('what an earlier version stored under another key is suppressed, listed and lifted', async () => {
  const stored = (until: number | null) =>
    JSON.stringify({ bounces: 1, lastAt: now, until, status: '5.1.1', text: '550 5.1.1 No such user' });
  const old = ['"john doe"@partner.example', '"joe"@partner.example', 'ann@bücher.example'];
  for (const key of old) await spool.suppressions.change(key, () => stored(now + DAY_MS));
  await spool.suppressions.change('joe@partner.example', () => stored(null));
  await spool.suppressions.change('"over"@partner.example', () => stored(now - 1));
  const list = open();
  await eventually(() => old.every(isOut) && spool.suppressions.size === 3);
  assert.deepEqual(
    [...list.list()].map(({ address }) => address),
    ['ann@xn--bcher-kva.example', 'joe@partner.example', '"john doe"@partner.example'],
  );
  const lifted = await list.lift(old);
  assert.deepEqual(
    lifted.map(({ result }) => result),
    ['done', 'done', 'done'],
  );
  assert.equal(spool.suppressions.size, 0);
});

test('a bounce of an address whose local part has quotes inside suppresses nobody else', async () => {
  const list = open({ terms: { ...TERMS, bounces: 1 } });
  const odd = '"\\"joe\\""@partner.example';
  list.learn([bounce(odd)]);
  await eventually(() => isOut(odd));
  await list.sweep();
  await list.sweep();
  assert.deepEqual([isOut(odd), isOut('joe@partner.example')], [true, false]);
  assert.deepEqual(await list.lift([odd]), [{ address: odd, result: 'done' }]);
});

test('the list survives a restart, and is whole over many slices', async () => {
  const first = open({ terms: { ...TERMS, bounces: 1 } });
  first.learn(Array.from({ length: 1_200 }, (_, index) => bounce(`${index}@partner.example`)));
  await eventually(() => spool.suppressions.size === 1_200);
  await spool.close();
  spool = new Spool(dirs.stateDir);
  assert.equal([...open().list()].length, 1_200);
});

test('beyond the bound nobody is added, which is told once', async () => {
  const list = open({ terms: { ...TERMS, bounces: 1 }, most: 3 });
  list.learn(Array.from({ length: 10 }, (_, index) => bounce(`${index}@partner.example`)));
  await eventually(() => spool.suppressions.size === 3);
  assert.deepEqual(logged, ['suppression_failed']);
});

test('a damaged entry suppresses nobody, ends no list, and is removed and told', async () => {
  const list = open({ terms: { ...TERMS, bounces: 1 } });
  list.learn(['a@x.example', 'b@x.example', 'c@x.example'].map((to) => bounce(to)));
  await eventually(() => spool.suppressions.size === 3);
  list.close();
  await spool.close();
  inFile(join(dirs.stateDir, 'queue.db'), (database) =>
    database.exec("UPDATE suppressed SET value = zeroblob(99) WHERE key = 'b@x.example'"),
  );
  spool = new Spool(dirs.stateDir);
  const again = open({ terms: { ...TERMS, bounces: 1 } });
  const addresses = () => [...again.list()].map(({ address }) => address);
  assert.deepEqual([isOut('b@x.example'), addresses()], [false, ['a@x.example', 'c@x.example']]);
  await eventually(() => spool.suppressions.size === 2);
  await again.sweep();
  assert.deepEqual(logged, ['suppression_damaged']);
});
