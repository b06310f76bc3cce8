import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { policyOf } from '#test/kit/relayrig.ts';
import { compileSteps, STEPS } from './steps.ts';

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
  const { header } = compileSteps(policyOf({ masqueradeDomains: ['example.com'] }))(false);
  assert.deepEqual(header.map(Object.keys), [['front']]);
});

test('the null sender stays, whatever the policy is', () => {
  const compiled = compileSteps(policyOf({ masqueradeDomains: ['example.com'], alwaysBcc: 'a@b.example' }));
  for (const isSubmitted of [true, false])
    assert.equal(compiled(isSubmitted).changeEnvelope({ from: '', to: [] }).from, '');
});
