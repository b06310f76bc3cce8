import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { changed, document, MISSHAPEN, WRONG } from '#test/fixtures/manifests.ts';
import { validateMailRelay } from './validate.ts';

const faultsOf = (value: unknown) => {
  const judged = validateMailRelay(value);
  return judged.kind === 'invalid' ? judged.faults : [];
};

test('validateMailRelay takes the good manifest and the full example', () => {
  assert.deepEqual(faultsOf(document(changed({}))), []);
  const full = readFileSync(new URL('../examples/full.yaml', import.meta.url), 'utf8');
  assert.deepEqual(faultsOf(parse(full)), []);
});

for (const { what, spec, says } of WRONG) {
  test(`validateMailRelay refuses ${what}, and names the cure`, () => {
    const messages = faultsOf(document(changed(spec))).map(({ message }) => message);
    assert.ok(
      messages.some((message) => message.includes(says)),
      `"${says}" is not in: ${messages.join(' | ')}`,
    );
  });
}

for (const { what, spec } of MISSHAPEN) {
  test(`validateMailRelay refuses ${what}, and names the field`, () => {
    const faults = faultsOf(document(changed(spec)));
    assert.ok(faults.length > 0);
    for (const { path, message } of faults)
      assert.ok(path.startsWith('spec.') && message.length > 0, `${path}: ${message}`);
  });
}

test('validateMailRelay refuses a name that cannot be that of a Service', () => {
  for (const name of ['1relay', 'Relay', 'a.b', 'x'.repeat(43)]) {
    assert.equal(faultsOf(document(changed({}), name))[0]?.path, 'metadata.name', name);
  }
});

test('validateMailRelay names what is no MailRelay at all', () => {
  for (const value of [null, 5, {}, { kind: 'Pod' }]) assert.ok(faultsOf(value).length > 0);
});
