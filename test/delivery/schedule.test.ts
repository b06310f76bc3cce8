/** When and how hard next hops are used: connections, pace, dead ones beside living ones, late mail and mail that is too old. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, Hop, type Said } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { listQueue } from '#test/kit/queuetools.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, manifestOf, type Sections, startRelay } from './story.ts';

const DOMAINS = ['reused', 'narrow', 'hanging', 'living', 'paced', 'client'] as const;
type Domain = (typeof DOMAINS)[number];

const hops = {} as Record<Domain, Hop>;
const ports = {} as Record<Domain | 'closed', number>;
/** What the narrow hop waits for before it answers a message. */
const gate = Promise.withResolvers<void>();
let relay: TestRelay;
/** Its senders hear of a delay after a second. */
let impatient: TestRelay;

const answers: Partial<Record<Domain, (said: Said) => Answer | Promise<Answer>>> = {
  hanging: ({ step }) => (step === 'MAIL' ? 'hang' : undefined),
  narrow: async ({ step }) => {
    if (step === 'message') await gate.promise;
    return undefined;
  },
};

function sections(limits: string): Sections {
  const routes = [...DOMAINS, 'closed' as const].map(
    (domain) =>
      `  - {recipientDomains: [${domain}.example], hosts: [{host: 127.0.0.1, port: ${ports[domain]}}]}`,
  );
  return { outbound: `tls: {level: None, discover: []}\nlimits: {${limits}}\nroutes:\n${routes.join('\n')}` };
}

const impatience = (expireAfter: string): Sections => ({
  ...sections('connectionsPerDestination: 20'),
  queue: `{expireAfter: ${expireAfter}, delayWarningAfter: 1s}`,
});

before(async () => {
  for (const domain of [...DOMAINS, 'closed'] as const) ports[domain] = await freePort();
  for (const domain of DOMAINS) {
    const answer = answers[domain];
    hops[domain] = await Hop.start({ port: ports[domain], ...(answer ? { answer } : {}) });
  }
  relay = await startRelay(sections('messagesPerConnection: 3, connectionsPerDestination: 2'));
  impatient = await startRelay(impatience('1d'));
  await accepted(impatient, {
    id: 'late',
    to: ['a@closed.example', 'b@closed.example'],
    rcpt: { 'b@closed.example': 'NOTIFY=FAILURE' },
  });
  await accepted(impatient, { id: 'late-and-silent', from: '', to: ['c@closed.example'] });
});

after(async () => {
  gate.resolve();
  await relay?.remove();
  await impatient?.remove();
  for (const hop of Object.values(hops)) await hop.down();
});

const send = (domain: string, count: number) =>
  Promise.all(
    Array.from({ length: count }, (_, index) =>
      accepted(relay, { id: `${domain}-${index}`, to: [`a${index}@${domain}.example`] }),
    ),
  );

async function change(limits: string): Promise<void> {
  const starts = () => relay.stderr.split('"router":"restarted"').length;
  const before = starts();
  relay.edit(manifestOf(relay.ports[0], sections(limits)));
  await until('the policy', () => starts() > before);
}

test('a connection carries as many messages as it may, and no more', async () => {
  const most = 3;
  const counts = () =>
    Object.values(Object.groupBy(hops.reused.taken, ({ session }) => session)).map((all) => all?.length ?? 0);
  // A connection is kept for twenty seconds, in which a busy machine may bring no other message.
  const isFull = () => counts().slice(0, -1).includes(most) || Math.max(...counts()) > most;
  const sendOne = async () => {
    const index = hops.reused.taken.length;
    await accepted(relay, { id: `reused-${index}`, to: ['a@reused.example'] });
    await until('it to arrive', () => hops.reused.taken.length === index + 1);
    // The router keeps the connection for the next message before it takes this one off its list.
    await until('an empty queue', async () => (await listQueue(relay)).length === 0);
    return isFull();
  };
  await until('a connection after a full one', sendOne, 240_000);
  assert.equal(Math.max(...counts()), most);
});

test('a destination gets no more connections at a time than it may', async () => {
  await send('narrow', 6);
  await until('two sessions', () => hops.narrow.said.filter(({ step }) => step === 'message').length === 2);
  await until('six in the queue', async () => (await relay.status()).queue.depth === 6);
  gate.resolve();
  await until('all of them', () => hops.narrow.taken.length === 6);
  assert.equal(hops.narrow.most, 2);
});

test('destinations that hang or are closed get a few attempts, and hold up nobody', async () => {
  await change('connectionsPerDestination: 50');
  await Promise.all([send('hanging', 30), send('closed', 30)]);
  await send('living', 30);
  await until('the living', () => hops.living.taken.length === 30);
  assert.ok(hops.hanging.most <= 5, `${hops.hanging.most} sessions`);
  await until('the rest', async () => (await relay.status()).queue.depth === 60);
  await relay.waitForReason(/connection refused/);
});

test('a destination gets no more messages in a minute than it may', async () => {
  const before = Math.floor(Date.now() / 60_000);
  await change('messagesPerDestinationPerMinute: 3');
  await send('paced', 8);
  await until('the first', () => hops.paced.taken.length >= 3);
  const waiting = await until('the others', async () => {
    const all = (await listQueue(relay)).filter(({ recipients: [to] }) =>
      to?.address.endsWith('paced.example'),
    );
    return all.length + hops.paced.taken.length === 8 ? all : undefined;
  });
  // The clock may turn to the next minute in between.
  const minutes = Math.floor(Date.now() / 60_000) - before + 1;
  assert.ok(waiting.length > 0 && hops.paced.taken.length <= 3 * minutes, `${hops.paced.taken.length}`);
});

test('a sender hears once that its mail is late, and in the end gets it back', async () => {
  const told = (subject: string) =>
    hops.client.taken.filter(({ text }) => text.includes(`Subject: ${subject}`)).map(({ text }) => text);
  const [late] = await until('the warning', () =>
    told('Delayed mail').length > 0 ? told('Delayed mail') : undefined,
  );
  assert.match(late ?? '', /^Action: delayed\r$/m);
  assert.match(late ?? '', /^Will-Retry-Until: /m);
  assert.match(late ?? '', /^Final-Recipient: rfc822; a@closed\.example\r$/m);
  assert.doesNotMatch(late ?? '', /b@closed/);
  // From the start it might be over on a busy machine before the sender has heard of the delay.
  impatient.edit(manifestOf(impatient.ports[0], impatience('9s')));
  const [back] = await until(
    'the return',
    () => {
      const all = told('Undelivered mail returned to sender');
      return all.length > 0 ? all : undefined;
    },
    120_000,
  );
  assert.match(back ?? '', /^Status: 5\.4\.7\r$/m);
  assert.match(back ?? '', /last reason: 4\.4\.1 127\.0\.0\.1:\d+: connection refused/);
  for (const recipient of ['a', 'b'])
    assert.match(back ?? '', new RegExp(`Final-Recipient: rfc822; ${recipient}@`));
  await until('an empty queue', async () => (await impatient.status()).queue.depth === 0);
  assert.deepEqual([told('Delayed mail').length, told('Undelivered mail returned to sender').length], [1, 1]);
});

test('what happened is counted by class of destination', async () => {
  await impatient.waitForMetrics(
    /^mailrelay_recipients_bounced_total\{class="expired"\} 3$/m,
    /^mailrelay_messages_accepted_total\{listener="smtp"\} 2$/m,
    /^mailrelay_recipients_delivered_total\{class="hops"\} 2$/m,
    /^mailrelay_deferrals_total\{class="hops",by="destination"\} \d+$/m,
    /^mailrelay_recipients_discarded_total 1$/m,
    /^mailrelay_queue_messages 0$/m,
    /^mailrelay_task_starts_total\{task="router",cause="start"\} 1$/m,
    /^mailrelay_delivery_duration_seconds_count 2$/m,
    /^mailrelay_accept_duration_seconds_count 2$/m,
  );
  await relay.waitForMetrics(
    /^mailrelay_queue_messages [1-9]/m,
    /^mailrelay_queue_oldest_age_seconds [1-9]/m,
    /^mailrelay_task_starts_total\{task="router",cause="policy"\} 2$/m,
  );
});
