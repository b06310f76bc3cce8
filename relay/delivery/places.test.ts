/** A hop that allows one connection never sees two. The result of a message to one recipient does not wait for the reply to QUIT. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { startLineHop, takeAll } from '#test/kit/linehop.ts';
import { hopTo, makeParcel } from '#test/kit/relayrig.ts';
import { AttemptBudget } from './budget.ts';
import { Places } from './places.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

const QUIT_MS = 300;

test('the place of a connection is free when it is closed, and the result is there before', async () => {
  const count = { open: 0, most: 0 };
  const hop = await startLineHop((line, socket) => {
    if (line === '') {
      count.open += 1;
      count.most = Math.max(count.most, count.open);
      socket.once('end', () => {
        count.open -= 1;
      });
    }
    if (line === 'QUIT') setTimeout(() => socket.end('221 bye\r\n'), QUIT_MS);
    if (line.startsWith('RCPT')) return '550 5.1.1 unknown';
    if (line === 'DATA') return '503 5.5.1 no recipients';
    return line === 'QUIT' ? null : takeAll(line);
  });
  const client = clientWith();
  ends.push(
    () => client.close(),
    () => hop.close(),
  );
  const way = wayTo(hopTo(hop.port, { tlsLevel: 'None' }));
  for (let times = 0; times < 3; times++) {
    const budget = new AttemptBudget();
    const result = await client.deliver(way, '127.0.0.1', makeParcel('x: y\r\n\r\n'), budget);
    budget.close();
    assert.equal(result.kind, 'answered');
    // It says QUIT now.
    assert.equal(count.open, 1);
  }
  assert.equal(count.most, 1);
});

function connection(isEnding: boolean) {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  const cuts: string[] = [];
  const cut = (reason: string) => {
    cuts.push(reason);
    close();
  };
  return { isEnding, closed, close, cut, cuts };
}

const way = wayTo(hopTo(25));

/** Whether each of so many new connections may begin now. */
async function take(places: Places, count: number, to = way, budget = new AttemptBudget()) {
  const begun = Array.from({ length: count }, () => false);
  begun.forEach((_, index) => {
    void places.take(to, budget).then(() => {
      begun[index] = true;
    });
  });
  await new Promise((resolve) => setImmediate(resolve));
  budget.close();
  return begun;
}

test('each new connection waits for one that is ending, of the same destination', async () => {
  const places = new Places();
  const [first, second] = [connection(true), connection(true)];
  for (const one of [connection(false), first, second]) places.add(way, one);
  assert.deepEqual(await take(places, 1, wayTo(hopTo(26))), [true]);
  assert.deepEqual(await take(places, 1, { ...way, destination: 'other' }), [true]);
  const begun = await take(places, 3);
  assert.deepEqual(begun, [false, false, true]);
  second.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(begun, [false, true, true]);
});

test('hosts of one destination share its places, and a closed connection has none', async () => {
  const places = new Places();
  const one = connection(true);
  places.add({ ...way, destination: 'd' }, one);
  assert.deepEqual(await take(places, 1, { ...wayTo(hopTo(26)), destination: 'd' }), [false]);
  const other = connection(true);
  places.add(way, other);
  other.close();
  await other.closed;
  assert.deepEqual(await take(places, 1), [true]);
});

test('nobody waits longer than the attempt, and the next one waits for the same connection', async () => {
  const places = new Places();
  const ending = connection(true);
  places.add(way, ending);
  const budget = new AttemptBudget(1);
  await places.take(way, budget);
  assert.equal(budget.isOver, true);
  await places.take(way, budget);
  const begun = await take(places, 2);
  assert.deepEqual(begun, [false, true]);
  ending.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(begun, [true, true]);
  assert.deepEqual(await take(places, 1), [true]);
});

test('nobody waits when the relay stops, or begins to afterwards', async () => {
  const places = new Places();
  const [awaited, other] = [connection(true), connection(true)];
  places.add(way, awaited);
  const begun = await take(places, 1);
  places.add(way, other);
  assert.deepEqual([begun, awaited.cuts], [[false], []]);
  places.close('the relay is stopping');
  assert.deepEqual([awaited.cuts, other.cuts], [['the relay is stopping'], []]);
  assert.deepEqual(await take(places, 1), [true]);
});

/** A hop that takes everything and never answers QUIT. Returns the end of a delivery over it. */
async function silentAtQuit() {
  const hop = await startLineHop((line) => (line === 'QUIT' ? null : refuseAll(line)));
  const client = clientWith();
  ends.push(
    () => client.close(),
    () => hop.close(),
  );
  const to = wayTo(hopTo(hop.port, { tlsLevel: 'None' }));
  const send = async (ms?: number, more = {}) => {
    const budget = new AttemptBudget(ms);
    const result = await client.deliver(to, '127.0.0.1', makeParcel('x: y\r\n\r\n', more), budget);
    budget.close();
    return result.kind === 'unreachable' ? result.failure.text : result.kind;
  };
  return { hop, client, send };
}

function refuseAll(line: string): string | null {
  if (line.startsWith('RCPT')) return '550 5.1.1 unknown';
  return line === 'DATA' ? '503 5.5.1 no recipients' : takeAll(line);
}

test('after the stop a delivery does not wait for the reply to a QUIT that the stop has sent', async () => {
  const { hop, client, send } = await silentAtQuit();
  assert.equal(await send(), 'answered');
  client.close();
  const begun = performance.now();
  assert.match(await send(), /the relay is stopping/);
  assert.ok(performance.now() - begun < 2_000);
  assert.equal(hop.sockets.length, 1);
});

test('a delivery whose time ends while it waits for a place connects to nobody, and says why', async () => {
  const { hop, send } = await silentAtQuit();
  assert.equal(await send(), 'answered');
  for (const ms of [20, 20])
    assert.match(await send(ms), /^127.*: the attempt took longer than ten minutes$/);
  assert.equal(hop.sockets.length, 1);
});

test('a delivery that waits for the reply to QUIT has its own place still, so another one does not wait for it', async () => {
  const { hop, client, send } = await silentAtQuit();
  const proving = send(undefined, { to: ['a@example.net', 'b@example.net'] });
  while (!hop.lines.includes('QUIT')) await new Promise((resolve) => setTimeout(resolve, 5));
  // Less than the time for the reply to QUIT.
  const other = await send(9_000);
  hop.close();
  assert.deepEqual([other, await proving, hop.sockets.length], ['answered', 'answered', 2]);
  client.close();
});
