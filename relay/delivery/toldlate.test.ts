/**
 * A hop that answers before the relay hears that the end of the message has left it. A socket in TLS tells that a turn later.
 * The message is delivered all the same, and the connection is kept if the hop stays.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { makePair } from '#test/kit/ca.ts';
import type { HopThread } from '#test/kit/hopthread.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { letters } from '#test/kit/linerig.ts';
import { hopTo, makeParcel } from '#test/kit/relayrig.ts';
import { AttemptBudget } from './budget.ts';
import { HopConnection } from './hopconnection.ts';

const ends: (() => unknown)[] = [];
after(() => Promise.all(ends.map((end) => end())));

const pair = await makePair('localhost');
const THREAD = new URL(import.meta.resolve('#test/kit/hopthread.ts'));
/** Places of the replies: MAIL, RCPT, DATA, the end. */
const BEHIND_ALL = 4;

/** This thread does nothing else until the reply is there. */
function sleep(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
}

for (const isSecure of [true, false])
  for (const how of ['stays', 'joined'] as const)
    test(`${isSecure ? 'TLS' : 'plain text'}: the reply is there at once, and the hop ${how === 'stays' ? how : 'ends'}`, async (context) => {
      const end = how === 'stays' ? null : { place: BEHIND_ALL, how };
      const script = { mail: 250, rcpt: [250], data: 354, end: [250], endsAt: end, extra: null, cuts: [] };
      const terms = { protocol: 'SMTP', offers: 'PIPELINING', pair: isSecure ? pair : undefined } as const;
      const worker = new Worker(THREAD, { workerData: { terms, script } satisfies HopThread });
      ends.push(() => worker.terminate());
      const [port] = (await once(worker, 'message')) as [number];
      const client = clientWith();
      ends.push(() => client.close());
      const tls = { implicitTLS: isSecure, tlsLevel: isSecure ? 'Encrypt' : 'None' } as const;
      const way = wayTo(hopTo(port, tls));
      // In the turn in which the message leaves, behind it.
      const begin = HopConnection.prototype._createSendStream;
      context.mock.method(
        HopConnection.prototype,
        '_createSendStream',
        function (this: HopConnection, answered: unknown) {
          const stream = begin.call(this, answered);
          queueMicrotask(() => setImmediate(sleep));
          return stream;
        },
      );
      const kept: boolean[] = [];
      for (let times = 0; times < 3; times += 1) {
        const budget = new AttemptBudget();
        const parcel = makeParcel('Subject: x\r\n\r\nx\r\n');
        const resumed = await client.resume(way, parcel, budget);
        const result = resumed ?? (await client.deliver(way, '127.0.0.1', parcel, budget));
        budget.close();
        assert.equal(letters(result), 'D');
        kept.push(resumed !== undefined);
      }
      assert.deepEqual(kept, how === 'joined' ? [false, false, false] : [false, true, true]);
    });
