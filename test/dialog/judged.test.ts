/**
 * What a content filter behind TLS sees of a message, and what the next hop gets: the filter judges the message as it was
 * received, and the relay changes it behind that.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { FilterServer } from '#test/kit/filterserver.ts';
import { Rig } from './rig.ts';

const OURS = '127.0.0.2';

let filter: FilterServer;
let rig: Rig;

before(async () => {
  const authority = await makeAuthority();
  filter = await FilterServer.start(await authority.issue(['localhost']));
  rig = await Rig.start({
    listeners: {
      smtp: {},
      unfiltered: { filter: { enabled: false } },
    },
    inbound: {
      clients: { networks: [OURS] },
      acceptDomains: ['y.example'],
      filter: { url: filter.url, trustConfigMapName: 'ca' },
      authenticationResults: { authservID: 'mx.y.example' },
    },
    spec: (hop) => ({
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      headers: { remove: ['X-Mailer'] },
    }),
    configMaps: { ca: { 'ca.crt': authority.cert } },
  });
});

after(async () => {
  await rig?.end();
  await filter?.stop();
});

/** What the filter was asked, and what the next hop got behind our Received. */
async function send(id: string, head: string, listener: string) {
  filter.questions.length = 0;
  const client = await rig.client(listener, OURS);
  const message = `${head}X-Test-Id: ${id}\r\n\r\nbody`;
  assert.match(await client.send('a@x.example', ['b@y.example'], message), /^250 /);
  const { text } = await rig.arrived(id);
  return { asked: filter.questions.map(({ body }) => body), message, text };
}

test('the filter gets the line of a mailbox file as it came, the next hop gets a field', async () => {
  const head = 'From a@x.example Mon Nov  2 03:04:05 2026\r\nFrom: a@x.example\r\nBcc: hidden@z.example\r\n';
  for (const [listener, isAsked] of [
    ['smtp', true],
    ['unfiltered', false],
  ] as const) {
    const { asked, message, text } = await send(`mailbox-${listener}`, head, listener);
    assert.deepEqual(asked, isAsked ? [`${message}\r\n`] : []);
    assert.match(text, /^X-Mailbox-Line: From a@x\.example Mon/m);
    assert.match(text, /^Date: /m);
    assert.doesNotMatch(text, /hidden/);
  }
});

test('a line that is no field ends the header for all, and nothing that is hidden is seen behind it', async () => {
  const head =
    'From: a@x.example\r\nX-Spam: No\r\nthis is no field\r\nX-Mailer: secret 1.0\r\nBcc: hidden@z.example\r\n';
  for (const listener of ['smtp', 'unfiltered']) {
    const { text } = await send(`broken-${listener}`, head, listener);
    assert.ok(text.includes(`\r\n\r\nthis is no field\r\nX-Test-Id: broken-${listener}\r\n\r\nbody`), text);
    assert.doesNotMatch(text, /hidden|secret/);
    assert.ok(text.search(/^Message-ID: /im) < text.indexOf('this is no field'));
  }
});

test('our results are no word of a client that may relay; those of others stay', async () => {
  const others = 'Authentication-Results: mx.z.example; spf=pass\r\n';
  const forged = 'Authentication-Results: (x) MX.Y.example; dkim=pass header.d=bank.example\r\n';
  for (const listener of ['smtp', 'unfiltered']) {
    const { text } = await send(`results-${listener}`, `From: a@x.example\r\n${others}${forged}`, listener);
    assert.ok(text.includes(others), text);
    assert.doesNotMatch(text, /bank\.example/);
  }
});
