/** The log of a whole story, by spec.logging: no task writes a local part past it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay, submit } from './story.ts';

const SENDER = 'zebra@client.example';
const LOCAL_PARTS = /zebra|yak|okapi|lemur|ibex|"gnu/i;

let hop: Hop;
let relay: TestRelay;

before(async () => {
  const port = await freePort();
  hop = await Hop.start({ port, answer: ({ step, line }) => (step === 'RCPT' ? answerTo(line) : undefined) });
  relay = await startRelay({
    outbound: `tls: {level: None, discover: []}\nsmartHosts: [{host: 127.0.0.1, port: ${port}}]`,
    logging: '{level: debug, addresses: Domain}',
  });
});
after(async () => {
  await relay?.remove();
  await hop?.down();
});

/** Next hops quote addresses in many ways. */
function answerTo(line: string): string | undefined {
  if (line.includes('okapi')) return '550 5.1.1 <okapi@x.example>: no such user here';
  if (line.includes('lemur')) return '451 4.2.1 mailbox of Lemur is full';
  return undefined;
}

const events = () =>
  relay.stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('with addresses: Domain the log of a story names no person, and says all else', async () => {
  const id = await accepted(relay, { id: 'taken', from: SENDER, to: ['yak@x.example'] });
  await accepted(relay, { id: 'given-up', from: SENDER, to: ['okapi@x.example'] });
  await accepted(relay, { id: 'put-off', from: SENDER, to: ['lemur@x.example', '"gnu gnu"@x.example'] });
  assert.match(await submit(relay, { id: 'no', from: SENDER, to: ['ibex%y.example@x.example'] }), /^5/);
  assert.match(await submit(relay, { id: 'no', from: SENDER, to: [], mail: 'FOR=ibex@x.example' }), /^555/);
  const wanted = ['accepted', 'bounced', 'deferred', 'returned', 'refused'];
  await until('all events', () => wanted.every((name) => events().some(({ event }) => event === name)));
  const { from, to, level } = await until('the delivery', () =>
    events().find((one) => one['event'] === 'delivered' && one['id'] === id),
  );
  assert.doesNotMatch(relay.stderr, LOCAL_PARTS);
  assert.deepEqual([from, to, level], ['@client.example', '@x.example', 'info']);
});
