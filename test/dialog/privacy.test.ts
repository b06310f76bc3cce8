/** What submitted mail tells of its client: fields that go, fields that are added, and our Received field. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SECTION_BYTES } from '#relay/headers/section.ts';
import { Rig } from './rig.ts';

const OURS = '127.0.0.2';
const STRANGER = '127.0.0.3';
const FIELDS =
  'Received: from laptop.corp.example ([10.1.2.3])\r\n\tby old.example\r\nFrom: a@x.example\r\n' +
  'X-Mailer: M 1.0\r\nx-internal-host: web1\r\nX-Environment: mine\r\nMessage-ID: <1@laptop>\r\n';

async function rigWith(headers: Readonly<Record<string, unknown>>): Promise<Rig> {
  return Rig.start({
    listeners: { smtp: {} },
    inbound: { clients: { networks: [OURS] }, acceptDomains: ['y.example'] },
    spec: (hop) => ({
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      headers,
    }),
  });
}

async function send(rig: Rig, id: string, from = OURS, more = ''): Promise<string> {
  const client = await rig.client('smtp', from);
  const reply = await client.send(
    'a@x.example',
    ['b@y.example'],
    `${FIELDS}${more}X-Test-Id: ${id}\r\n\r\nbody`,
  );
  assert.match(reply, /^250 /);
  return (await rig.arrived(id)).text;
}

describe('fields are removed and added, and Received names no client', () => {
  let rig: Rig;
  before(async () => {
    rig = await rigWith({
      remove: ['received', 'X-Mailer', 'X-Internal-*', 'X-Environment', 'Message-ID'],
      received: 'NoClient',
      add: [
        { name: 'X-Environment', value: 'staging' },
        { name: 'X-Test-Id', value: 'another' },
      ],
    });
  });
  after(() => rig?.end());

  for (const [name, more] of [
    ['a message', ''],
    ['a header above 64 KiB', `X-Long: ${'x'.repeat(900)}\r\n`.repeat(SECTION_BYTES / 900 + 1)],
  ] as const)
    test(name, async () => {
      const text = await send(rig, name.replaceAll(' ', '-'), OURS, more);
      assert.doesNotMatch(text, /laptop|corp\.example|client\.example|127\.0\.0\.2|X-Mailer|x-internal|mine/);
      assert.match(
        text,
        /^Received: by relay\.example\.com \(mailrelay\) with ESMTP id \S+\r\n\tfor <b@y\.example>;/,
      );
      assert.deepEqual(text.match(/^X-Environment: .*/gm), ['X-Environment: staging']);
      assert.deepEqual(text.match(/^X-Test-Id: .*/gm)?.length, 1, 'a field that is there stays as it is');
      assert.match(text, /^Message-ID: <[^@>]+@relay\.example\.com>\r$/m);
    });

  test('mail of a stranger passes as it is', async () => {
    const text = await send(rig, 'stranger', STRANGER);
    assert.ok(text.includes(`${FIELDS}X-Test-Id: stranger\r\n\r\nbody`), text);
    assert.match(text, /^Received: from client\.example \(\[127\.0\.0\.3\]\)/);
  });
});

test('without a Received field of ours the message begins as the client wrote it', async () => {
  const rig = await rigWith({ received: 'None' });
  try {
    const text = await send(rig, 'none');
    assert.ok(text.startsWith(FIELDS), text);
    assert.match(await send(rig, 'stranger', STRANGER), /^Received: from client\.example/);
  } finally {
    await rig.end();
  }
});
