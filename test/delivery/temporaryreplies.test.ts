/**
 * Hops that refuse EHLO or STARTTLS for now, with real relay processes: the mail waits, and goes as it should when they do no
 * more. A hop that refuses STARTTLS for good cannot keep REQUIRETLS, and the sender hears of it.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeAuthority, type Pair } from '#test/kit/ca.ts';
import { type Answer, Hop, type Step } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { doToQueue, listQueue } from '#test/kit/queuetools.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { startRelayUnderTls } from './story.ts';

interface Case {
  readonly id: string;
  readonly step: Step;
  /** undefined: STARTTLS is not offered. */
  readonly reply: string | undefined;
}

const OFFERS = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'SIZE 100000000', 'REQUIRETLS'];
const cases = (step: Step, replies: readonly string[]): Case[] =>
  replies.map((reply) => ({
    id: `${step}${reply.slice(0, 3)}`.toLowerCase(),
    step,
    reply: `${reply} at ${step}`,
  }));
const AT_EHLO = cases('EHLO', ['421 4.3.2 not now', '450 4.3.2 not now', '451 4.3.0 not now']);
const AT_STARTTLS = cases('STARTTLS', [
  '421 4.3.2 not now',
  '450 4.7.0 not now',
  '451 4.3.0 not now',
  '454 4.7.0 not now',
]);
const FOR_GOOD: readonly Case[] = [
  ...cases('STARTTLS', ['502 5.5.1 what?', '554 5.7.0 no']),
  { id: 'nooffer', step: 'STARTTLS', reply: undefined },
];

let relay: TestRelay;
const hops = new Map<string, Hop>();
const wellAgain = new Set<string>();

const hop = (id: string) => hops.get(id) as Hop;

/** A hop that gives this reply until it is well again. */
async function open({ id, step, reply }: Case, pair: Pair) {
  const port = await freePort();
  const answer = (said: { step: Step }): Answer =>
    said.step === step && !wellAgain.has(id) ? reply : undefined;
  const hasTls = reply !== undefined || id === 'client';
  hops.set(id, await Hop.start({ port, answer, offers: OFFERS, pair: hasTls ? pair : undefined }));
  return `  - {recipientDomains: [${id}.example], hosts: [{host: 127.0.0.1, port: ${port}, tls: {serverName: hop.example}}]}\n`;
}

before(async () => {
  const authority = await makeAuthority();
  const pair = await authority.issue(['hop.example']);
  const all = [
    ...AT_EHLO,
    ...AT_STARTTLS,
    ...FOR_GOOD,
    { id: 'client', step: 'EHLO', reply: undefined } as const,
  ];
  const routes: string[] = [];
  for (const one of all) routes.push(await open(one, pair));
  relay = await startRelayUnderTls(routes.join(''), authority);
});

after(async () => {
  await relay?.remove();
  for (const one of hops.values()) await one.down();
});

async function send(id: string, parameters: string): Promise<void> {
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  try {
    await client.hello();
    await client.command('STARTTLS');
    await client.startTls({});
    await client.command('EHLO client.example');
    for (const line of [`MAIL FROM:<me@client.example>${parameters}`, `RCPT TO:<a@${id}.example>`, 'DATA'])
      assert.match(await client.command(line), /^[23]/, line);
    assert.match(await client.command(`${messageText(id)}\r\n.`), /^250/);
  } finally {
    await client.quit();
  }
}

/** The message waits, and the reason tells of the reply. */
async function waits({ id, reply = '' }: Case): Promise<void> {
  await until(`mail to ${id} to wait`, async () => {
    const { deferrals } = (await relay.status()).queue;
    if (deferrals.some(({ message }) => message.includes(reply))) return true;
    throw new Error(JSON.stringify(deferrals));
  });
  assert.equal(hop(id).taken.length, 0);
  assert.ok(!hop('client').taken.some(({ text }) => text.includes(`X-Test-Id: ${id}`)));
}

async function retried(id: string): Promise<void> {
  wellAgain.add(id);
  await until(`the message to ${id}`, async () => {
    for (const { id: queueId } of await listQueue(relay)) await doToQueue(relay, 'retry', queueId);
    return hop(id).ids().includes(id);
  });
}

for (const one of AT_EHLO)
  test(`"${one.reply}" to EHLO is not followed by HELO: the mail waits, and then goes encrypted`, async () => {
    await send(one.id, '');
    await waits(one);
    assert.deepEqual(hop(one.id).lines('HELO'), []);
    await retried(one.id);
    assert.deepEqual(hop(one.id).lines('HELO'), []);
    assert.equal(hop(one.id).taken[0]?.tls, 'TLSv1.3');
  });

for (const one of AT_STARTTLS)
  test(`"${one.reply}" to STARTTLS lets mail with REQUIRETLS wait`, async () => {
    await send(one.id, ' REQUIRETLS');
    await waits(one);
    await retried(one.id);
    assert.match(hop(one.id).lines('MAIL').at(-1) ?? '', / REQUIRETLS\b/);
  });

for (const { id, reply } of FOR_GOOD)
  test(`${reply === undefined ? 'no offer of STARTTLS' : `"${reply}" to STARTTLS`} returns mail with REQUIRETLS`, async () => {
    await send(id, ' REQUIRETLS');
    const report = await until(`the report on ${id}`, () =>
      hop('client').taken.find(({ from, text }) => from === '' && text.includes(`X-Test-Id: ${id}`)),
    );
    assert.match(report.text, /Status: 5\.7\.30/);
    assert.equal(hop(id).taken.length, 0);
  });
