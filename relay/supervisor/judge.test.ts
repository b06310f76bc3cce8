import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashContent, type Policy, printPolicy } from '#crds/policyfile.ts';
import { hopTo, policyOf, routeTo } from '#test/kit/relayrig.ts';
import { hashOfText, judgeText } from './judge.ts';

const refused = (name: string, text: string | undefined, message: RegExp) =>
  test(`${name} is refused, saying why`, () => {
    const judged = judgeText(text);
    assert.ok(judged.kind === 'invalid');
    assert.match(judged.message, message);
  });
const dane = hopTo(25, { tlsLevel: 'Dane' });
const routes: Policy['outbound']['routes'] = [routeTo(['x.example'], [dane])];

refused('no file', undefined, /missing/);
refused('no JSON', '{', /not JSON/);
refused('a later format', JSON.stringify({ ...policyOf(), format: 2 }), /^format: /);
refused('a floor of level Dane', printPolicy(policyOf({}, { tlsLevel: 'Dane' })), /Dane.*use Verify/);
refused('a smart host of level Dane', printPolicy(policyOf({}, { smartHosts: [dane] })), /Dane.*use Verify/);
refused('a route of level Dane', printPolicy(policyOf({}, { routes })), /Dane.*use Verify/);
refused(
  'a route by MX of level Dane',
  printPolicy(policyOf({}, { routes: [routeTo(['x.example'], [], { hosts: null, tlsLevel: 'Dane' })] })),
  /Dane.*use Verify/,
);

test('level Dane is served where the resolver is trusted', () => {
  const resolver = { servers: [{ address: '127.0.0.1', port: 53 }], trustAD: true };
  assert.equal(judgeText(printPolicy(policyOf({}, { tlsLevel: 'Dane', resolver }))).kind, 'policy');
  const untrusted = { ...resolver, trustAD: false };
  assert.equal(
    judgeText(printPolicy(policyOf({}, { tlsLevel: 'Dane', resolver: untrusted }))).kind,
    'invalid',
  );
});

test('a policy is named by its hash, also where it cannot be served', () => {
  const policy = policyOf({}, { tlsLevel: 'Dane' });
  assert.equal(hashOfText(printPolicy(policy)), hashContent(policy));
  assert.deepEqual([hashOfText('{'), hashOfText(undefined)], [null, null]);
});
