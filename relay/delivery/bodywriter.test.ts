/** The body of a message on its way to a hop: dots, pieces, a reply in the middle, and a body that cannot be read. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { makePair } from '#test/kit/ca.ts';
import { courier, ends, parcel, peer, sink, summary } from '#test/kit/clientrig.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { AttemptBudget } from './budget.ts';

const pair = await makePair('mx.example.net');

test('a message of dots arrives as it is, however it is cut, and whole', async () => {
  const { port, mail } = await sink(pair);
  const body = '.\r\n..\r\nx\r\n'.repeat(1_000);
  const cut = [1, 3, 1_000, 1_003, 5_000].map((at, index, all) => body.slice(all[index - 1] ?? 0, at));
  const pieces = [...cut, body.slice(5_000)].map((piece) => Buffer.from(piece));
  const ways = [() => Readable.from(pieces, { objectMode: false }), () => Buffer.from(body)];
  for (const [index, way] of ways.entries()) {
    const result = await courier().deliver(hopTo(port), parcel({ bytes: body.length, body: way }));
    assert.equal(summary(result), 'delivered encrypted');
    assert.equal(mail[index]?.body, body);
  }
});

test('a whole message whose last line has no end gets one, and the session takes another', async () => {
  const { port, mail } = await sink(pair);
  const over = courier();
  for (const text of ['Subject: x\r\n\r\nno end', 'Subject: y\r\n\r\n']) {
    const result = await over.deliver(hopTo(port), parcel({ body: () => Buffer.from(text) }));
    assert.equal(summary(result), 'delivered encrypted');
  }
  assert.deepEqual(
    mail.map(({ body }) => body),
    ['Subject: x\r\n\r\nno end\r\n', 'Subject: y\r\n\r\n'],
  );
});

/** A body whose second piece comes only after the next hop has answered. */
function slowBody(answered: Promise<void>) {
  return async function* () {
    yield Buffer.from('Subject: x\r\n\r\nfirst\r\n');
    await answered;
    yield Buffer.from('second\r\n');
  };
}

for (const [reply, outcome] of [
  ['250 taken', 'deferred plain'],
  ['552 too large', 'refused plain'],
]) {
  test(`"${reply}" in the middle of a message is ${outcome}, and nothing more is said in its session`, async () => {
    const answered = Promise.withResolvers<void>();
    const { port, lines } = await peer((line, socket) => {
      if (line.startsWith('EHLO')) return '250 peer';
      if (line === 'DATA') return '354 go on';
      if (line !== 'first') return /^(MAIL|RCPT|QUIT)/.test(line) ? '250 ok' : undefined;
      socket.once('close', () => answered.resolve());
      return reply;
    });
    const body = slowBody(answered.promise);
    assert.equal(
      summary(await courier().deliver(hopTo(port, { tlsLevel: 'None' }), parcel({ body }))),
      outcome,
    );
    await answered.promise;
    assert.equal(lines.at(-1), 'first');
  });
}

test('a body that cannot be read to its end never ends at the next hop, and waits', async () => {
  const { port, mail } = await sink(pair);
  async function* body() {
    yield Buffer.from('Subject: x\r\n\r\nfirst\r\n');
    throw new Error('the disk does not answer');
  }
  const result = await courier().deliver(hopTo(port), parcel({ body }));
  assert.equal(summary(result), 'deferred encrypted');
  assert.equal(mail.length, 0);
});

test('a body that cannot be opened closes the connection and ends the attempt', async () => {
  const closed = Promise.withResolvers<void>();
  const { port } = await peer((line, socket) => {
    socket.once('close', () => closed.resolve());
    return line.startsWith('EHLO') ? '250 peer' : '250 ok';
  });
  const body = () => {
    throw new Error('the body is gone');
  };
  const budget = new AttemptBudget();
  const client = clientWith();
  ends.push(() => client.close());
  const way = wayTo(hopTo(port, { tlsLevel: 'None' }));
  await assert.rejects(client.deliver(way, '127.0.0.1', parcel({ body }), budget), /the body is gone/);
  await closed.promise;
  assert.equal(await client.resume(way, parcel(), budget), undefined);
  budget.close();
});
