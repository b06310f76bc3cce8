import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Asked, Doorkeeper } from './access.ts';

const PORT = 8025;
const HOST = `127.0.0.1:${PORT}`;
const SECRETS = { token: 'the-token', session: 'the-session' };
const COOKIE = `mailrelay-console-${PORT}=the-session`;

const asked = (changes: Partial<Asked> = {}): Asked => ({
  method: 'GET',
  token: undefined,
  host: HOST,
  origin: undefined,
  site: undefined,
  cookie: COOKIE,
  ...changes,
});
const change = (changes: Partial<Asked> = {}): Asked =>
  asked({ method: 'POST', origin: `http://${HOST}`, site: 'same-origin', ...changes });
const judge = (one: Asked, allowsChanges = true) => new Doorkeeper(SECRETS, PORT, allowsChanges).judge(one);

test('the token opens one session, and no second one', () => {
  const doorkeeper = new Doorkeeper(SECRETS, PORT, true);
  const first = asked({ token: 'the-token', cookie: undefined });
  const opened = doorkeeper.judge(first);
  assert.equal(opened.kind, 'opened');
  assert.match(opened.kind === 'opened' ? opened.cookie : '', /HttpOnly; SameSite=Strict; Path=\/$/);
  assert.deepEqual([doorkeeper.judge(first).kind, doorkeeper.judge(asked()).kind], ['refused', 'allowed']);
});

test('a wrong token opens nothing, and does not use up the right one', () => {
  const doorkeeper = new Doorkeeper(SECRETS, PORT, true);
  for (const token of ['', 'the-toke', 'the-token ', 'THE-TOKEN'])
    assert.equal(doorkeeper.judge(asked({ token, cookie: undefined })).kind, 'refused', token);
  assert.equal(doorkeeper.judge(asked({ token: 'the-token' })).kind, 'opened');
});

describe('refused', () => {
  const cases: readonly [string, Asked, number][] = [
    ['without a cookie', asked({ cookie: undefined }), 401],
    ['with a wrong session', asked({ cookie: `mailrelay-console-${PORT}=other` }), 401],
    ['with the session of another console', asked({ cookie: 'mailrelay-console-9999=the-session' }), 401],
    ['with the token as the session', asked({ cookie: `mailrelay-console-${PORT}=the-token` }), 401],
    ['under a name of another site', asked({ host: `evil.example:${PORT}` }), 403],
    ['under a name that begins well', asked({ host: `${HOST}.evil.example` }), 403],
    ['under another port', asked({ host: '127.0.0.1:80' }), 403],
    ['without a host', asked({ host: undefined }), 403],
    ['the right token under another name', asked({ host: 'evil.example', token: 'the-token' }), 403],
    ['a change without an origin', change({ origin: undefined }), 403],
    ['a change from another site', change({ origin: 'http://evil.example' }), 403],
    ['a change from another port', change({ origin: 'http://127.0.0.1:80' }), 403],
    ['a change from a sandbox', change({ origin: 'null' }), 403],
    ['a change that the browser calls foreign', change({ site: 'same-site' }), 403],
    ['another method', change({ method: 'DELETE' }), 403],
  ];
  for (const [name, one, code] of cases)
    test(name, () => {
      const access = judge(one);
      assert.deepEqual([access.kind, access.kind === 'refused' && access.code], ['refused', code]);
    });
});

test('a change of the page itself is allowed, if the person allows changes', () => {
  assert.equal(judge(change()).kind, 'allowed');
  const other = `localhost:${PORT}`;
  assert.equal(judge(change({ host: other, origin: `http://${other}` })).kind, 'allowed');
  const refused = judge(change(), false);
  assert.match(refused.kind === 'refused' ? refused.message : '', /--allow-changes/);
});
