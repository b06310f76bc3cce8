/**
 * A stranger whose reports go to hosts that never finish: the mail of others does not wait for them (stranger.story.ts).
 * In a network of its own, where the far end of a cable takes everything and answers nothing: a black hole.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

const BLACK_HOLE = `
ip link add hole type veth peer name hole-end
ip addr add 198.51.100.1/24 dev hole
ip link set hole arp off up
ip link set hole-end up`;

/** In `make soak` the stranger sends for ten minutes. */
const WITHIN_MS = process.env['MAILRELAY_SOAK'] !== undefined ? 890_000 : 540_000;

test('what a stranger sends delays nobody else', { timeout: WITHIN_MS + 10_000 }, async (context) => {
  const told = await tellInNetwork(new URL('stranger.story.ts', import.meta.url), {
    commands: BLACK_HOLE,
    withinMs: WITHIN_MS,
  });
  assert.match(told, /tests 1\b/);
  for (const [, line = ''] of told.matchAll(/ℹ (.*ms.*)/g)) context.diagnostic(line);
});
