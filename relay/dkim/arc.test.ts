import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { authenticate } from 'mailauth';
import type { ArcFacts } from '../spool/record.ts';
import { sealMessage } from './arc.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const KEY = {
  domain: 'example.com',
  selector: 's1',
  pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
};
const RECORD = `v=DKIM1; k=rsa; p=${publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
const MESSAGE = 'From: joe@sender.example\r\nSubject: hello\r\n\r\nbody\r\n';
const RESULTS = 'mx.example.com;\r\n dmarc=pass header.from=sender.example';

async function seal(message: string, chain: ArcFacts['chain'] = 'none', key = KEY) {
  return sealMessage(() => Readable.from([Buffer.from(message)]), key, { chain, results: RESULTS });
}

async function sealed(message: string, chain: ArcFacts['chain'] = 'none'): Promise<string> {
  const result = await seal(message, chain);
  assert.ok(result.kind === 'signed', JSON.stringify(result));
  return result.header.toString() + message;
}

async function verify(message: string) {
  const { arc } = await authenticate(message, {
    ip: '192.0.2.7',
    sender: 'joe@sender.example',
    strict: true,
    disableBimi: true,
    resolver: async (name) => {
      if (name === 's1._domainkey.example.com') return [[RECORD]];
      throw Object.assign(new Error('there is none'), { code: 'ENOTFOUND' });
    },
  });
  return arc || assert.fail();
}

test('a seal verifies, tells what we verified, and another host may seal again', async () => {
  const once = await sealed(MESSAGE);
  assert.match(once, /^ARC-Authentication-Results: i=1; mx\.example\.com;/m);
  assert.equal((await verify(once)).status.result, 'pass');
  const twice = await sealed(`X-Other: y\r\n${once}`, 'pass');
  const arc = await verify(twice);
  assert.deepEqual([arc.status.result, arc.i], ['pass', 2]);
});

test('a message that changes after the seal does not verify', async () => {
  assert.equal((await verify((await sealed(MESSAGE)).replace('hello', 'hullo'))).status.result, 'fail');
});

test('a message that no verifier can read is not sealed, and neither is one whose seal cannot be made', async () => {
  assert.deepEqual(await seal(`${MESSAGE}${'x'.repeat(2 ** 21)}`), {
    kind: 'unsignable',
    reason: 'long_line',
  });
  const unsealed = await seal(MESSAGE, 'none', { ...KEY, pem: 'no key' });
  assert.deepEqual(unsealed, { kind: 'unsignable', reason: 'not_sealed' });
});

test('a message that cannot be read rejects', async () => {
  async function* broken() {
    yield Buffer.from('From: ');
    throw new Error('the disk is gone');
  }
  const facts = { chain: 'none' as const, results: RESULTS };
  await assert.rejects(
    sealMessage(() => Readable.from(broken()), KEY, facts),
    /the disk is gone/,
  );
});
