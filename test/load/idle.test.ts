/**
 * What sessions cost that do nothing, half of them in TLS: 10,000 within 768 MiB by `make soak`; a thousand of them
 * within their share by `make test`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Crowd } from '#test/kit/crowd.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { anonymousMiB } from '#test/kit/memory.ts';
import { TestRelay } from '#test/kit/relay.ts';

const SESSIONS = process.env['MAILRELAY_SOAK'] ? 10_000 : 1_000;
/** What 10,000 may take above a relay without any. */
const MIB_PER_SESSION = 0.055;
const MIB = process.env['MAILRELAY_SOAK'] ? 768 : undefined;

test(`${SESSIONS} idle sessions, half of them in TLS, take little memory and are all served`, async (context) => {
  const relay = await TestRelay.start({
    manifest: ([port]) => storyManifest({ port, nextHop: 1, inbound: 'limits: {idleTimeout: 10m}' }),
  });
  let crowd: Crowd | undefined;
  try {
    const rest = anonymousMiB(relay.tree());
    crowd = await Crowd.gather(relay.ports[0] ?? 0, SESSIONS, async (session, index) => {
      await session.hello();
      if (index % 2 === 0) await session.secure();
    });
    const full = anonymousMiB(relay.tree());
    context.diagnostic(
      `${full.toFixed(0)} MiB of anonymous memory in ${relay.tree().length} processes, ${rest.toFixed(0)} MiB without sessions`,
    );
    const replies = await crowd.ask('NOOP');
    assert.equal(replies.filter((reply) => reply.startsWith('250')).length, SESSIONS);
    assert.ok(full <= (MIB ?? rest + SESSIONS * MIB_PER_SESSION), `${full} MiB`);
  } finally {
    crowd?.leave();
    await relay.remove();
  }
});
