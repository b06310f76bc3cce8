import assert from 'node:assert/strict';
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { readKeys, signRequest } from './signature.ts';

/** The check of a receiver, written from the text of the standard. */
function isSigned(secret: string, headers: ReturnType<typeof signRequest>, body: Buffer): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const content = Buffer.concat([
    Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.`),
    body,
  ]);
  const wanted = createHmac('sha256', key).update(content).digest();
  return headers['webhook-signature'].split(' ').some((word) => {
    const [version, value = ''] = word.split(',');
    const given = Buffer.from(value, 'base64');
    return version === 'v1' && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

test('the signature is that of the published example', () => {
  const keys = readKeys('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') ?? assert.fail('it is a key');
  const headers = signRequest(keys, {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    sentAt: 1_614_265_330_000,
    body: Buffer.from('{"test": 2432232314}'),
  });
  assert.deepEqual(headers, {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

test('a receiver with any of the keys accepts any body, and no other body', () => {
  const key = fc.uint8Array({ minLength: 24, maxLength: 64 });
  const body = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(
      fc.array(key, { minLength: 1, maxLength: 3 }),
      body,
      fc.nat(2 ** 41),
      (list, content, sentAt) => {
        const secrets = list.map((bytes) => `whsec_${Buffer.from(bytes).toString('base64')}`);
        const keys = readKeys(secrets.join('\n ')) ?? assert.fail('they are keys');
        const headers = signRequest(keys, { id: 'msg_1', sentAt, body: content });
        for (const secret of secrets) {
          assert.ok(isSigned(secret, headers, content));
          assert.ok(!isSigned(secret, headers, Buffer.concat([content, Buffer.from('x')])));
        }
      },
    ),
  );
});

test('a text without a good key is no Secret; one bad key spoils it, because a person meant something else', () => {
  const good = `whsec_${randomBytes(24).toString('base64')}`;
  for (const text of [
    undefined,
    '',
    ' \n',
    'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    `whsec_${randomBytes(23).toString('base64')}`,
    `whsec_${randomBytes(65).toString('base64')}`,
    'whsec_!!!',
    `${good} secret`,
  ])
    assert.equal(readKeys(text), undefined, String(text));
  assert.equal(readKeys(`${good}\n${good}\n`)?.length, 2);
});
