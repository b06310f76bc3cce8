import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { policyOf } from '#test/kit/relayrig.ts';
import { DkimSigner, type Signer } from './signer.ts';

type Message = Parameters<Signer>[0];

const { privateKey } = generateKeyPairSync('ed25519');
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const KEY = { domain: 'example.com', selector: 'ed', secret: 'dkim', signs: true };

function rig(...keys: (typeof KEY)[]) {
  const lines: Record<string, unknown>[] = [];
  const counted: string[] = [];
  const signer = new DkimSigner(
    policyOf({}, { dkim: keys.length > 0 ? keys : [KEY] }),
    { secrets: { dkim: { 'private.key': pem } }, configMaps: {} },
    (event, fields) => lines.push({ event, ...fields }),
    (reason) => counted.push(reason),
  );
  const sign = (id: string, text: string, record: object = { ours: true }) =>
    signer.sign({ id, record, open: () => Readable.from([Buffer.from(text)]) } as unknown as Message);
  return { lines, counted, sign };
}

test('a message that no key can sign goes unsigned, and log and count say why, once', async () => {
  const { lines, counted, sign } = rig();
  const text = `From: a@example.com\r\n\r\n${'x'.repeat(2 ** 21)}`;
  for (let delivery = 0; delivery < 3; delivery += 1)
    assert.deepEqual(await sign('one', text), { kind: 'header', header: null });
  await sign('two', 'From: root\r\n\r\nhi\r\n');
  assert.deepEqual(lines, [
    {
      event: 'not_signed',
      id: 'one',
      domain: 'example.com',
      rule: 'long_line',
      reason: 'a line of it is longer than 1 MiB',
    },
    {
      event: 'not_signed',
      id: 'two',
      domain: undefined,
      rule: 'unreadable_from',
      reason: 'its From field has no address with a domain',
    },
  ]);
  assert.deepEqual(counted, ['long_line', 'unreadable_from']);
});

test('a key that is only published signs nothing, and holds up no mail when it cannot be used', async () => {
  const next = { ...KEY, selector: 'next', secret: 'gone', signs: false };
  const signed = await rig(next, KEY).sign('one', 'From: a@example.com\r\n\r\nhi\r\n');
  const header = signed.kind === 'header' ? String(signed.header) : '';
  assert.deepEqual(header.match(/\bs=[^;]*/g), ['s=ed']);
});

test('a header with a line that is no field is not signed, because verifiers disagree where it ends', async () => {
  const { counted, sign } = rig();
  const FROM = 'From: a@example.com\r\n';
  const STRAY = [
    '::  From: b@example.net',
    ':From: b@example.net',
    'F\from: b',
    'Fr om: b',
    'no field',
    '>From x',
  ];
  for (const line of STRAY) {
    for (const end of ['', '\r\n', '\r\n\r\nhi\r\n'])
      assert.deepEqual(await sign(line + end, FROM + line + end), { kind: 'header', header: null }, line);
  }
  assert.deepEqual(
    counted,
    STRAY.flatMap(() => ['stray_line', 'stray_line', 'stray_line']),
  );
  for (const rest of ['', '\r\n', '\r\nno field\r\n', 'X:\r\n folded\r\n\r\n', 'X : y']) {
    const signed = await sign(`whole ${rest}`, FROM + rest);
    assert.ok(signed.kind === 'header' && signed.header !== null, rest);
  }
});

test('mail waits while the policy names a domain or a selector that no signature can have', async () => {
  for (const change of [{ domain: 'com' }, { selector: 'a..b' }, { selector: 'a_b' }]) {
    const signed = await rig({ ...KEY, ...change }).sign('one', 'From: a@example.com\r\n\r\nhi\r\n');
    assert.ok(signed.kind === 'failed', JSON.stringify(change));
    assert.equal(signed.failure.cause, 'local');
    assert.match(signed.failure.text, /did not sign: Invalid [ds]= value/);
    assert.equal(signed.failure.status, '4.7.0');
  }
});

test('mail of strangers, and of domains without a key, is no matter of a line', async () => {
  const { lines, counted, sign } = rig();
  await sign('one', 'From: root\r\n\r\nhi\r\n', { ours: false });
  await sign('two', 'From: a@example.net\r\n\r\nhi\r\n');
  assert.deepEqual([lines, counted], [[], []]);
});
