/** Connections come from the source address of their family, and never from another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { freePort } from '#test/kit/ports.ts';
import { HOSTNAME, hopTo, makeParcel } from '#test/kit/relayrig.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import { SYSTEM_NAMES } from './names.ts';
import { findAddresses } from './resolver.ts';

const PARCEL = makeParcel('Subject: x\r\n\r\nx\r\n', { from: `me@${HOSTNAME}` });

/** Sends to this address of a hop on this machine. */
async function sendFrom(sourceAddresses: string[], port: number, address = '127.0.0.1'): Promise<HopResult> {
  const client = clientWith();
  const budget = new AttemptBudget();
  try {
    const hop = hopTo(port, { host: address, sourceAddresses });
    return await client.deliver(wayTo(hop), address, PARCEL, budget);
  } finally {
    budget.close();
    client.close();
  }
}

const failureOf = (result: HopResult) => (result.kind === 'unreachable' ? result.failure : undefined);

test('a connection comes from the address of its family', async () => {
  const port = await freePort();
  const four = await Hop.start({ port });
  const six = await Hop.start({ port, host: '::1' });
  try {
    for (const source of ['127.0.0.2', '127.0.0.3']) await sendFrom([source, '::1'], port);
    await sendFrom(['127.0.0.2', '::1'], port, '::1');
    assert.deepEqual(
      [...four.taken, ...six.taken].map(({ remote }) => remote),
      ['127.0.0.2', '127.0.0.3', '::1'],
    );
  } finally {
    await four.down();
    await six.down();
  }
});

test('from an address that is not ours nothing goes, and the failure names it', async () => {
  const port = await freePort();
  const hop = await Hop.start({ port });
  try {
    for (const source of ['192.0.2.99', '203.0.113.1']) {
      const failure = failureOf(await sendFrom([source], port));
      assert.deepEqual([failure?.cause, failure?.status, failure?.permanent], ['local', '4.3.5', false]);
      assert.match(failure?.text ?? '', new RegExp(`${source}: give this address to the pod`));
    }
    const otherFamily = failureOf(await sendFrom(['::1'], port));
    assert.match(otherFamily?.text ?? '', /no address of the family of 127\.0\.0\.1/);
    assert.equal(hop.sessions, 0);
  } finally {
    await hop.down();
  }
});

test('a host is reached in the families of the source addresses only', async () => {
  const find = (host: string, sourceAddresses: string[]) =>
    findAddresses(hopTo(25, { host, sourceAddresses }), SYSTEM_NAMES);
  assert.deepEqual(await find('127.0.0.1', ['127.0.0.2', '::1']), {
    kind: 'addresses',
    addresses: ['127.0.0.1'],
  });
  assert.deepEqual(await find('::1', ['127.0.0.2', '::1']), { kind: 'addresses', addresses: ['::1'] });
  const none = await find('::1', ['127.0.0.2']);
  assert.match(none.kind === 'none' ? none.failure.text : '', /::1 has no address that 127\.0\.0\.2/);
  assert.equal(none.kind === 'none' && none.failure.permanent, false);
});
