import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { nameIsAllowed, namesOfCertificate } from './certificatenames.ts';

test('names of DNS, e-mail and URI are read, others are not, and quotes hide nothing', () => {
  assert.deepEqual(
    namesOfCertificate('DNS:App.Example.com, email:Bob@x.example, IP Address:192.0.2.1, URI:spiffe://a/b'),
    ['app.example.com', 'Bob@x.example', 'spiffe://a/b'],
  );
  // Node quotes a name that looks like the start of another entry.
  assert.deepEqual(namesOfCertificate('DNS:"a.example, DNS:evil.example", DNS:b.example'), [
    'a.example, dns:evil.example',
    'b.example',
  ]);
  assert.deepEqual(namesOfCertificate(undefined), []);
});

test('allowed is the same name, or one label below', () => {
  const allowed = (name: string, ...patterns: string[]) => nameIsAllowed([name], patterns);
  assert.equal(allowed('app.example.com', 'app.example.com'), true);
  assert.equal(allowed('app.example.com', 'App.Example.com'), true);
  assert.equal(allowed('app.example.com', '*.example.com'), true);
  assert.equal(allowed('a.b.example.com', '*.example.com'), false);
  assert.equal(allowed('example.com', '*.example.com'), false);
  assert.equal(allowed('.example.com', '*.example.com'), false);
  assert.equal(allowed('spiffe://a/.example.com', '*.example.com'), false);
  assert.equal(allowed('bob@x.example', 'Bob@x.example'), false);
  assert.equal(allowed('app.example.com'), false);
  assert.equal(nameIsAllowed([], ['*.example.com']), false);
});

test('whatever a certificate says, it is read', () => {
  fc.assert(fc.property(fc.string(), (text) => assert.ok(Array.isArray(namesOfCertificate(text)))));
});
