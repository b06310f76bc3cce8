/** Retries by the schedule of a route: a hop that asks for patience, one that is away, and mail that soon expires. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { mailrelay, type TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay } from './story.ts';

const PATIENCE_MS = 60_000;

let relay: TestRelay;
let greylisting: Hop;
let home: Hop;
let tries = 0;

before(async () => {
  const ports = { greylisting: await freePort(), away: await freePort(), client: await freePort() };
  greylisting = await Hop.start({
    port: ports.greylisting,
    // Without a schedule of its own the third attempt would come after three minutes.
    answer: ({ step }) => (step === 'RCPT' && ++tries < 3 ? '451 4.7.1 greylisted' : undefined),
  });
  home = await Hop.start({ port: ports.client });
  const to = (name: keyof typeof ports, terms = '') =>
    `  - {recipientDomains: [${name}.example], hosts: [{host: 127.0.0.1, port: ${ports[name]}}]${terms}}`;
  const routes = [
    to('greylisting', ', retry: {minBackoff: 1s, maxBackoff: 2s}'),
    to('away', ', retry: {minBackoff: 1s, maxBackoff: 1s, expireAfter: 2s}'),
    to('client'),
  ];
  relay = await startRelay({
    outbound: `tls: {level: None, discover: []}\nroutes:\n${routes.join('\n')}`,
  });
});

after(async () => {
  await relay?.remove();
  await greylisting?.down();
  await home?.down();
});

test('mail that is put off is tried again by the schedule of its route', async () => {
  await accepted(relay, { id: 'later', to: ['a@greylisting.example'] });
  await until('it to arrive', () => greylisting.ids().includes('later'), PATIENCE_MS);
  assert.equal(tries, 3);
});

test('mail of a route that expires early goes back to its sender', async () => {
  await accepted(relay, { id: 'late', to: ['a@away.example'] });
  const report = await until('the report', () => home.taken[0]?.text, PATIENCE_MS);
  assert.match(report, /^Final-Recipient: rfc822; a@away\.example\r$/m);
  assert.match(report, /^Status: 5\.4\.7\r$/m);
});

test('explain names the schedule of an address, and the fields that set it', async () => {
  const run = (to: string, ...args: string[]) =>
    mailrelay(['explain', to, '-f', join(relay.dir, 'relay.yaml'), ...args]);
  const explain = async (to: string) => {
    const { stdout, stderr, status } = await run(to);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const nobody = await run('a@away.example', '--admin-port', String(await freePort()));
  assert.match(
    nobody.stderr,
    /No relay answers at 127\.0\.0\.1 port \d+: name its state folder by --state DIR, or its health port by --admin-port PORT/,
  );
  assert.equal(nobody.status, 1);
  const away = await explain('a@away.example');
  assert.match(away, /^tried again +every 1s \(outbound\.routes\[1\]\.retry\)$/m);
  assert.match(away, /^returned +after 2s \(outbound\.routes\[1\]\.retry\)$/m);
  const client = await explain('me@client.example');
  assert.match(
    client,
    /^tried again +after 1m, 2m, 5m, 10m, 20m, then every 30m \(the schedule of the relay; .*\)$/m,
  );
  assert.match(client, /^returned +after 5d \(queue\.expireAfter\)$/m);
});
