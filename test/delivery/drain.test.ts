/**
 * A pod that is told to end: `mailrelay relay` after SIGTERM. Not ready at once; new connections are answered until the
 * grace is over, open sessions go on until the deadline and then hear 421; what is being delivered ends or returns to the
 * queue; the exit status is 0.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { POLICY_FILE_NAME, printPolicy } from '#crds/policyfile.ts';
import { endWithFile } from '#test/kit/child.ts';
import { Hop } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { hopTo, listenerAt, policyOf, routeTo } from '#test/kit/relayrig.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;
/** Each is long enough for the steps of the test within it, also on a busy machine. */
const GRACE_SECONDS = 5;
const DRAIN_SECONDS = 15;

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-drain-'));
const gates = { ends: Promise.withResolvers<void>(), hangs: Promise.withResolvers<void>() };
let hop: Hop;
let port = 0;
let adminPort = 0;
let pod: ChildProcess | undefined;

before(async () => {
  port = await freePort();
  adminPort = await freePort();
  const hopPort = await freePort();
  hop = await Hop.start({
    port: hopPort,
    answer: async ({ step, line }) => {
      if (step === 'message') await gates[line.includes('X-Test-Id: ends') ? 'ends' : 'hangs'].promise;
      return undefined;
    },
  });
  const policy = policyOf(
    { listeners: [listenerAt(port, { starttls: 'Disabled' })] },
    { routes: [routeTo(['example.com'], [hopTo(hopPort, { tlsLevel: 'None' })])] },
  );
  mkdirSync(join(dir, 'policy'));
  writeFileSync(join(dir, 'policy', POLICY_FILE_NAME), printPolicy(policy));
  await up();
});

after(async () => {
  pod?.kill('SIGKILL');
  await hop?.down();
  rmSync(dir, { recursive: true, force: true });
});

async function up(): Promise<void> {
  const folders = ['policy', 'certificate', 'secrets', 'configmaps', 'state'].flatMap((name) => [
    `--${name}`,
    join(dir, name),
  ]);
  const times = ['--grace', String(GRACE_SECONDS), '--drain', String(DRAIN_SECONDS)];
  const rest = ['--listen', '127.0.0.1', '--admin-port', String(adminPort), '--processes', '1'];
  pod = endWithFile(spawn(LAUNCHER, ['relay', ...folders, ...times, ...rest], { stdio: 'ignore' }));
  await until('the pod to be ready', async () => (await probe('readyz')) === 200);
}

const probe = async (name: string) => (await fetch(`http://127.0.0.1:${adminPort}/${name}`)).status;

async function session(): Promise<SmtpClient> {
  const client = await SmtpClient.connect(port);
  assert.match(await client.hello(), /^250/);
  return client;
}

const send = (client: SmtpClient, id: string) =>
  client.send('me@example.net', ['b@example.com'], messageText(id));

test('SIGTERM drains: nothing is refused before it must be, nothing is lost, and the exit status is 0', async () => {
  const [open, idle] = [await session(), await session()];
  for (const id of ['ends', 'hangs']) {
    assert.match(await send(open, id), /^250/);
    await until(`${id} on its way`, () =>
      hop.lines('message').some((text) => text.includes(`X-Test-Id: ${id}`)),
    );
  }
  const ended = new Promise((resolve) => pod?.once('exit', resolve));
  pod?.kill('SIGTERM');
  await until('not to be ready', async () => (await probe('readyz')) === 503);
  assert.equal(await probe('healthz'), 200);
  const late = await session();
  assert.match(await send(late, 'late'), /^250/);
  await until('the grace to be over', async () => {
    const refused = await SmtpClient.connect(port).then(
      (client) => client.close(),
      (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
    );
    return refused === true;
  });
  gates.ends.resolve();
  assert.match(await send(open, 'open'), /^250/);
  await open.quit();
  await late.quit();
  assert.match(await idle.reply(), /^421 4\.3\.2 /);
  idle.close();
  assert.equal(await ended, 0);
  assert.ok(hop.ids().includes('ends'), 'what was on its way ended');
});

test('what did not end is in the queue, and goes out after the next start', async () => {
  hop.cut();
  gates.hangs.resolve();
  await up();
  for (const id of ['hangs', 'late', 'open']) await until(`${id} to arrive`, () => hop.ids().includes(id));
  assert.deepEqual(hop.ids().toSorted(), ['ends', 'hangs', 'late', 'open']);
});
