/** LMTP (RFC 2033): one message, a reply for each recipient, and what becomes of each of them in the queue. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, Hop, type Said } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { doToQueue } from '#test/kit/queuetools.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay } from './story.ts';

let store: Hop;
/** Where reports go. */
let home: Hop;
let relay: TestRelay;
let answer: (said: Said) => Answer = () => undefined;

before(async () => {
  const [storePort, homePort] = [await freePort(), await freePort()];
  store = await Hop.start({ port: storePort, lmtp: true, answer: (said) => answer(said) });
  home = await Hop.start({ port: homePort });
  relay = await startRelay({
    outbound: `
tls: {level: None, discover: []}
routes:
  - {recipientDomains: [store.example], hosts: [{host: 127.0.0.1, port: ${storePort}, protocol: LMTP}]}
  - {recipientDomains: [client.example], hosts: [{host: 127.0.0.1, port: ${homePort}}]}
`,
  });
});

after(async () => {
  await relay?.remove();
  await store?.down();
  await home?.down();
});

const at = (...names: string[]) => names.map((name) => `${name}@store.example`);

/** Who has the message, each as often as it was delivered. */
const delivered = (id: string) =>
  store.taken
    .filter(({ text }) => text.includes(`X-Test-Id: ${id}`))
    .flatMap(({ to }) => to)
    .toSorted();

test('one recipient has the message, one waits alone, one is returned', async () => {
  const replies: Record<string, string> = {
    'never@store.example': '550 5.2.1 mailbox disabled',
    'later@store.example': '452 4.2.2 no room now',
  };
  answer = ({ recipient = '' }) => replies[recipient];
  const id = await accepted(relay, { id: 'mixed', to: at('now', 'never', 'later') });
  await until('the report', () => home.taken.length === 1);
  const report = home.taken[0]?.text ?? '';
  assert.match(report, /Final-Recipient: rfc822; never@store\.example\r\nAction: failed\r\nStatus: 5\.2\.1/);
  assert.doesNotMatch(report, /Final-Recipient: rfc822; (now|later)/);
  await until('the queue with one message', async () => (await relay.status()).queue.depth === 1);
  await relay.waitForReason(/no room now/);
  answer = () => undefined;
  await doToQueue(relay, 'retry', id);
  await until('the one that waited', () => delivered('mixed').includes('later@store.example'));
  assert.deepEqual(delivered('mixed'), at('later', 'now'));
  await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
});

test('a crash between two replies may double a message, and loses none', async () => {
  answer = ({ step, recipient = '' }) =>
    step === 'message' && recipient.startsWith('b@') ? 'hang' : undefined;
  await accepted(relay, { id: 'crash', to: at('a', 'b', 'c') });
  await until('the first reply', () => delivered('crash').length === 1);
  await relay.kill9();
  answer = () => undefined;
  await relay.up();
  await until('all of them', () => delivered('crash').length === 4);
  assert.deepEqual(delivered('crash'), at('a', 'a', 'b', 'c'));
  await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
});
