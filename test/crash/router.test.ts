/**
 * The router alone is killed, again and again, while it delivers and reports: each message that was answered 250 arrives
 * at the recipient that is taken, and a report of the one that is refused reaches its sender. Four kills by `make test`,
 * sixty by `make soak`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const KILLS = process.env['MAILRELAY_SOAK'] ? 60 : 4;
/** Between two kills, so that each comes at another point of the work. */
const MESSAGES = 40;

/** The router that was started last. */
function routerOf(relay: TestRelay): number {
  const [, pid] =
    [...relay.stderr.matchAll(/"event":"task_started","started":"router","pid":(\d+)/g)].at(-1) ?? [];
  return Number(pid);
}

test(`${KILLS} routers killed at work lose no message and no report`, async (context) => {
  const nextHop = await freePort();
  const hop = await Hop.start({
    port: nextHop,
    answer: ({ step, line }) =>
      step === 'RCPT' && line.includes('<no@') ? '550 5.1.1 nobody here' : undefined,
  });
  const relay = await TestRelay.start({ manifest: ([port]) => storyManifest({ port, nextHop }) });
  const promised: string[] = [];
  try {
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    for (let kill = 1; kill <= KILLS; kill++) {
      const router = routerOf(relay);
      for (let count = 0; count < MESSAGES; count++) {
        const id = `router-${kill}-${count}`;
        const reply = await client.send(
          'me@client.example',
          ['yes@example.com', 'no@example.com'],
          messageText(id),
        );
        assert.match(reply, /^250/);
        promised.push(id);
        if (count === (kill * 7) % MESSAGES) process.kill(router, 'SIGKILL');
      }
      await until('another router', () => routerOf(relay) !== router, 60_000);
    }
    await client.quit();
    const arrived = () => hop.taken.filter(({ to }) => to.includes('yes@example.com')).map(idOf);
    const reported = () => hop.taken.filter(({ from }) => from === '').map(idOf);
    for (const [what, ids] of [
      ['arrived', arrived],
      ['reported', reported],
    ] as const) {
      await until(`all to be ${what}`, () => without(promised, ids()).length === 0, 180_000).catch(
        () => undefined,
      );
      assert.deepEqual(without(promised, ids()), [], `lost, not ${what}`);
      const doubled = ids().length - new Set(ids()).size;
      context.diagnostic(`${ids().length} ${what}, ${doubled} of them again`);
      // Only what was under way when a router died may come again.
      assert.ok(doubled <= KILLS * 20, `${doubled} ${what} again`);
    }
    await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
  } finally {
    await relay.remove();
    await hop.down();
  }
});

function without(promised: readonly string[], ids: readonly string[]): string[] {
  const known = new Set(ids);
  return promised.filter((id) => !known.has(id));
}

function idOf({ text }: { readonly text: string }): string {
  return /^X-Test-Id: (.*)\r$/m.exec(text)?.[1] ?? '';
}
