import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeForSender, type Failure, joinFailures, makeFailure, tellSender } from './failure.ts';

const SECRETS = /hop\.internal|Secret|ConfigMap|proxy/;

const login = makeFailure({
  cause: 'login',
  status: '4.7.8',
  text: 'hop.internal:587 refuses our login (535 5.7.8): check the Secret',
});
const local = makeFailure({ cause: 'local', status: '4.7.0', text: 'the ConfigMap "trust" is missing' });
const proxied = makeFailure({
  cause: 'connect',
  status: '4.4.1',
  text: 'mx.example.net:25: the SOCKS proxy hop.internal:1080 makes no connection',
  forSender: 'mx.example.net:25: no connection',
});
const reply: Failure = {
  permanent: true,
  cause: 'reply',
  status: '5.1.1',
  text: '550 5.1.1 No such user',
  reply: { code: 550, line: '550 5.1.1 No such user' },
};

test('senders hear a short sentence of what is about this relay, and the text of all else', () => {
  assert.deepEqual([login, local, proxied, reply].map(tellSender), [
    'login refused',
    'a fault of this mail relay, whose administrator can see the reason',
    'mx.example.net:25: no connection',
    '550 5.1.1 No such user',
  ]);
  assert.deepEqual([login, reply].map(describeForSender), ['4.7.8 login refused', '550 5.1.1 No such user']);
});

test('a joined failure tells senders no more than its parts do', () => {
  for (const parts of [
    [login, local, proxied, reply],
    [reply, proxied],
    [local, login],
    [proxied, local, reply],
  ]) {
    const joined = joinFailures(parts);
    assert.match(joined.text, SECRETS);
    assert.doesNotMatch(tellSender(joined), SECRETS);
    assert.equal(joinFailures([joined]).forSender, joined.forSender);
  }
  assert.equal(
    tellSender(joinFailures([proxied, reply])),
    'mx.example.net:25: no connection; 550 5.1.1 No such user',
  );
});
