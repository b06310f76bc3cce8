import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Policy } from '#crds/policyfile.ts';
import { addressesOf, compiledOf, policyOf } from '#test/kit/relayrig.ts';
import { STEPS } from './steps.ts';

test('docs/rewriting.md shows the steps in their order', () => {
  const page = readFileSync(new URL('../../docs/rewriting.md', import.meta.url), 'utf8');
  const [, table = ''] = /## The steps\n(.*?)(?:\n## |$)/s.exec(page) ?? [];
  const shown = [...table.matchAll(/^\| \d+ \| ([^|]+) \|/gm)].map(([, name]) => name?.trim());
  assert.deepEqual(
    shown,
    STEPS.map(({ name }) => name),
  );
});

test('every step is a function, or names the file that has it', () => {
  for (const { name, envelope, header, file } of STEPS)
    assert.ok(envelope ?? header ?? (file && existsSync(new URL(`../../${file}`, import.meta.url))), name);
});

test('mail of strangers gets a Received field and no other header step', () => {
  const { header } = compiledOf(policyOf({ masqueradeDomains: ['example.com'] }), false);
  const { front, ...others } = header;
  assert.equal(front.length, 1);
  assert.deepEqual(others, { hides: [], edits: [], adds: [], repairs: false });
});

test('our results are removed from submitted mail, those of others only where the header is too long', () => {
  const authenticationResults = { authservId: 'mx.y.example', arcSealDomain: null };
  const hides = (policy: Policy, text?: string) =>
    compiledOf(policy, true).header.hides.some((hide) => hide('authentication-results', text));
  const policy = policyOf({ authenticationResults });
  const plain = [
    'mx.y.example',
    '"MX.Y.example" 1',
    '(a) (b)\r\n\tmx.y.example/1',
    '\r\n mx.y.example(c)',
    '',
  ];
  const unclear = [
    '(of (us)) mx.y.example',
    '(\\)) mx.y.example',
    '(\\() mx.y.example',
    '(;) mx.y.example',
    '"mx\\.y.example"',
    'mx\\.y.example',
    'mx.y."example"',
    'mx.(x)y.example',
    '" mx.y.example"',
    '"mx.y.example "',
    'mx.y.\0example',
    ') mx.y.example',
  ];
  for (const id of [...plain, ...unclear])
    assert.ok(hides(policy, `Authentication-Results: ${id}; spf=pass\r\n`), id);
  for (const id of [
    'mx.z.example',
    'x.mx.y.example',
    'mx.y.example.z',
    '(mx.y.example) x',
    'spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=mx.y.example',
  ])
    assert.ok(!hides(policy, `Authentication-Results: ${id}; spf=pass\r\n`), id);
  assert.ok(hides(policy));
  assert.ok(!hides(policyOf(), 'Authentication-Results: mx.y.example; spf=pass\r\n'));
});

test('the null sender stays, whatever the policy is', () => {
  const map = { entries: [{ address: '*', to: ['all@b.example'], refuse: null }], tables: [] };
  const sender = { map, parts: ['Envelope' as const], mail: 'All' as const };
  const policy = policyOf(
    { masqueradeDomains: ['example.com'], alwaysBcc: 'a@b.example' },
    {},
    { addresses: addressesOf({ sender, senderBcc: map, sendAllTo: 'x@y.example' }) },
  );
  for (const isSubmitted of [true, false]) {
    const steps = compiledOf(policy, isSubmitted);
    assert.deepEqual(steps.changeSender(''), { kind: 'changed', to: '' });
    assert.deepEqual(steps.changeSender('a@c.example'), { kind: 'changed', to: 'all@b.example' });
    const changed = steps.changeAll({ from: '', to: [] }, { sender: '', at: 0 });
    assert.equal(changed.kind === 'changed' && changed.to.from, '');
  }
});
