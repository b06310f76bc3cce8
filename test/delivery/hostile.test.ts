/**
 * Next hops that misbehave at each step. Whatever they do, a message that was taken goes, waits or is returned; it is
 * never lost, never sent in clear against its level, and never in the way of others.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { type Answer, Hop, type Step } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { doToQueue, listQueue } from '#test/kit/queuetools.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay } from './story.ts';

/** What becomes of the message before anybody mends anything. */
type End = 'goes' | 'waits' | 'is returned' | 'hangs';

interface Case {
  readonly step: Step;
  readonly answer: Answer;
  readonly end: End;
  readonly level?: 'Opportunistic' | 'Encrypt';
  /** It is how the message arrives that matters. */
  readonly inClear?: boolean;
}

const ENDLESS = { raw: '220-and another line\r\n'.repeat(1_000) };
const GARBAGE = { raw: '\x00\xff\xfe HTTP/1.1 200 OK\r\n\r\n' };
/** Answered before TLS, and a limit that would refuse any message. */
const INJECTED = { raw: '220 go ahead\r\n250-hop.example\r\n250 SIZE 1\r\n' };

const CASES: Readonly<Record<string, Case>> = {
  'drops before the greeting': { step: 'greeting', answer: 'drop', end: 'waits' },
  'refuses at the greeting': { step: 'greeting', answer: '554 no mail here', end: 'waits' },
  'is busy at the greeting': { step: 'greeting', answer: '421 busy', end: 'waits' },
  'greets with garbage': { step: 'greeting', answer: GARBAGE, end: 'waits' },
  'speaks another protocol': { step: 'greeting', answer: { raw: 'SSH-2.0-OpenSSH_9.2\r\n' }, end: 'waits' },
  'greets behind text': { step: 'greeting', answer: { raw: 'welcome\r\n220 mail ESMTP\r\n' }, end: 'waits' },
  'greets without end': { step: 'greeting', answer: ENDLESS, end: 'hangs' },
  'says nothing': { step: 'greeting', answer: 'hang', end: 'hangs' },
  'does not know EHLO': { step: 'EHLO', answer: '500 what?', end: 'goes' },
  'drops at EHLO': { step: 'EHLO', answer: 'drop', end: 'waits' },
  'hangs at EHLO': { step: 'EHLO', answer: 'hang', end: 'hangs' },
  'puts the sender off': { step: 'MAIL', answer: '451 4.7.1 greylisted', end: 'waits' },
  'refuses the sender': { step: 'MAIL', answer: '550 5.7.1 not you', end: 'is returned' },
  'answers in many lines': { step: 'MAIL', answer: '250 one\n250 two\n250 three', end: 'goes' },
  'answers garbage to the sender': { step: 'MAIL', answer: GARBAGE, end: 'waits' },
  'drops at MAIL': { step: 'MAIL', answer: 'drop', end: 'waits' },
  'hangs at MAIL': { step: 'MAIL', answer: 'hang', end: 'hangs' },
  'puts the recipient off': { step: 'RCPT', answer: '452 4.2.2 full', end: 'waits' },
  'refuses the recipient': { step: 'RCPT', answer: '550 5.1.1 nobody', end: 'is returned' },
  'closes at RCPT': { step: 'RCPT', answer: '421 closing', end: 'waits' },
  'drops at RCPT': { step: 'RCPT', answer: 'drop', end: 'waits' },
  'puts DATA off': { step: 'DATA', answer: '451 later', end: 'waits' },
  'refuses DATA': { step: 'DATA', answer: '554 never', end: 'is returned' },
  'wants a login at DATA': { step: 'DATA', answer: '530 5.7.0 log in first', end: 'waits' },
  'drops at DATA': { step: 'DATA', answer: 'drop', end: 'waits' },
  'puts the message off': { step: 'message', answer: '451 scanner is down', end: 'waits' },
  'refuses the message': { step: 'message', answer: '554 5.7.1 spam', end: 'is returned' },
  'drops before it answers the message': { step: 'message', answer: 'drop', end: 'waits' },
  'hangs before it answers the message': { step: 'message', answer: 'hang', end: 'hangs' },
  'has no TLS for now, where it may be in clear': {
    step: 'STARTTLS',
    answer: '454 4.7.0 not now',
    end: 'goes',
    level: 'Opportunistic',
    inClear: true,
  },
  'has no TLS for now, where it must be encrypted': {
    step: 'STARTTLS',
    answer: '454 4.7.0 not now',
    end: 'waits',
    level: 'Encrypt',
  },
  'breaks the handshake, where it may be in clear': {
    step: 'STARTTLS',
    answer: 'break',
    end: 'goes',
    level: 'Opportunistic',
    inClear: true,
  },
  'breaks the handshake, where it must be encrypted': {
    step: 'STARTTLS',
    answer: 'break',
    end: 'waits',
    level: 'Encrypt',
  },
  'injects a reply before TLS': { step: 'STARTTLS', answer: INJECTED, end: 'goes', level: 'Encrypt' },
  'hangs at STARTTLS': { step: 'STARTTLS', answer: 'hang', end: 'hangs', level: 'Opportunistic' },
};

const names = Object.keys(CASES);
const slug = (name: string) => name.replace(/[^a-z]+/gi, '-').toLowerCase();
const withEnd = (...ends: End[]) => names.filter((name) => ends.includes(CASES[name]?.end ?? 'goes'));

const hops = new Map<string, Hop>();
let home: Hop;
let relay: TestRelay;
let mended = false;

before(async () => {
  const pair = await (await makeAuthority()).issue(['localhost']);
  const homePort = await freePort();
  home = await Hop.start({ port: homePort });
  const routes = [`- {recipientDomains: [client.example], hosts: [{host: 127.0.0.1, port: ${homePort}}]}`];
  for (const [name, { step, answer, level }] of Object.entries(CASES)) {
    const port = await freePort();
    const hop = await Hop.start({
      port,
      ...(level ? { pair } : {}),
      answer: (said) => (said.step === step && !mended ? answer : undefined),
    });
    hops.set(name, hop);
    routes.push(
      `- {recipientDomains: [${slug(name)}.example], hosts: [{host: 127.0.0.1, port: ${port}}], tls: {level: ${level ?? 'None'}}}`,
    );
  }
  relay = await startRelay({
    outbound: `tls: {level: None, discover: []}\nroutes:\n${routes.map((route) => `  ${route}`).join('\n')}`,
  });
});

after(async () => {
  await relay?.remove();
  for (const hop of [home, ...hops.values()]) await hop?.down();
});

const arrivedAt = (name: string) => hops.get(name)?.ids().includes(slug(name)) ?? false;
const returned = () => home.taken.map(({ text }) => text).join('');

test('every message is taken, beside all the others', async () => {
  await Promise.all(
    names.map((name) => accepted(relay, { id: slug(name), to: [`a@${slug(name)}.example`] })),
  );
});

for (const name of withEnd('goes')) {
  test(`a next hop that ${name} gets the message${CASES[name]?.inClear ? ' in clear' : ''}`, async () => {
    const { level, inClear } = CASES[name] as Case;
    await until('the message', () => arrivedAt(name));
    const [taken] = hops.get(name)?.taken ?? [];
    assert.equal(taken?.tls !== undefined, level !== undefined && !inClear);
  });
}

for (const name of withEnd('is returned')) {
  test(`a message to a next hop that ${name} goes back`, async () => {
    await until('the report', () => returned().includes(`a@${slug(name)}.example`));
    assert.equal(arrivedAt(name), false);
  });
}

for (const name of withEnd('waits')) {
  test(`a message to a next hop that ${name} waits, with the reason`, async () => {
    await until('the reason', async () =>
      (await listQueue(relay)).find(
        ({ recipients: [to] }) => to?.address === `a@${slug(name)}.example` && to.reason,
      ),
    );
    assert.equal(returned().includes(`a@${slug(name)}.example`), false);
  });
}

for (const name of withEnd('hangs')) {
  test(`a next hop that ${name} is waited for, and nobody else waits for it`, async () => {
    await until('the session', () => hops.get(name)?.sessions === 1);
    assert.equal(arrivedAt(name), false);
  });
}

test('when they behave again everything arrives, and nothing is left', async () => {
  mended = true;
  for (const hop of hops.values()) hop.cut();
  const wanted = withEnd('waits', 'hangs', 'goes');
  await until('all of them', async () => {
    await doToQueue(relay, 'retry', ...(await listQueue(relay)).map(({ id }) => id));
    const missing = wanted.filter((name) => !arrivedAt(name));
    if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}`);
    return true;
  });
  await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
  for (const [name, hop] of hops) {
    const { level, inClear } = CASES[name] as Case;
    if (level === 'Encrypt' || (level && !inClear && name !== 'hangs at STARTTLS'))
      assert.ok(
        hop.said.every(({ secure, step }) => secure || !['MAIL', 'RCPT', 'DATA', 'message'].includes(step)),
        `${name}: something was said in clear`,
      );
    assert.ok(hop.ids().every((id) => id === slug(name)));
    // Only where the answer was lost may a message arrive again; the hop has forgotten the first.
    assert.ok(hop.taken.length <= 1, `${name}: ${hop.taken.length} times`);
  }
});
