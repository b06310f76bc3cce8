import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printAddress, relayable } from './address.ts';

const good = (address: string, printed: string) =>
  test(`${address} is relayed as ${printed}`, () => {
    const parts = relayable(address);
    assert.ok(parts);
    assert.equal(printAddress(parts), printed);
  });
const bad = (address: string) =>
  test(`${JSON.stringify(address)} is not relayed`, () => assert.equal(relayable(address), undefined));

good('me@example.com', 'me@example.com');
good('Me.And+You@Example.COM', 'Me.And+You@example.com');
good('me@example.com.', 'me@example.com');
good('me@müller.example', 'me@xn--mller-kva.example');
good('jürgen@example.com', 'jürgen@example.com');
good('me@[192.0.2.1]', 'me@[192.0.2.1]');
good('me@[IPv6:2001:db8::1]', 'me@[ipv6:2001:db8::1]');
good('prvs=0123=me@example.com', 'prvs=0123=me@example.com');

bad('');
bad('postmaster');
bad('@example.com');
bad('me@');
bad('user%victim.example@ours.example');
bad('victim.example!user@ours.example');
bad('"user@victim.example"@ours.example');
bad('user@victim.example@ours.example');
bad('a:b@ours.example');
bad('a b@ours.example');
bad('a\\b@ours.example');
bad('m\uFFFDe@example.com');
