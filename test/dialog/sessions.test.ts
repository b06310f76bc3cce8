/** The list of open sessions of a real relay: what stands in it, what does not any more, and where it ends. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hashPassword } from '#crds/passwordhash.ts';
import { type InboundSession, MOST_SESSIONS, type OpenSessions } from '#crds/sessions.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { mailrelay } from '#test/kit/relay.ts';
import { plain } from '#test/kit/sasl.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig, type Story } from './rig.ts';

const LOGGED_IN = '127.0.0.41';
const IN_CLEAR = '127.0.0.42';
const CERTIFIED = '127.0.0.43';
const SILENT = '127.0.0.44';
const MANY = '127.0.0.45';
const AGAIN = '127.0.0.46';
const authority = await makeAuthority('Clients');
const story = async (addresses: string): Promise<Story> => ({
  listeners: {
    smtp: {},
    submission: { auth: 'Optional' },
    submissions: { implicitTLS: true },
    machines: { clients: { certificates: { trustConfigMapName: 'clients', names: ['app.client.example'] } } },
  },
  inbound: { clients: { networks: ['127.0.0.0/8'], credentialsSecretName: 'users' } },
  secrets: { users: { app: await hashPassword('correct horse', 4096) } },
  configMaps: { clients: { 'ca.crt': authority.cert } },
  spec: (hop) => ({
    logging: { addresses },
    outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
  }),
});

let rig: Rig;

before(async () => {
  rig = await Rig.start(await story('Full'));
});

after(() => rig?.end());

/** A process that is busy for two seconds is told as silent, and is asked again here. */
async function tell(options: readonly string[] = [], { relay } = rig): Promise<string> {
  return until('an answer of all processes', async () => {
    const { status, stdout, stderr } = await mailrelay(['sessions', '--state', relay.stateDir, ...options]);
    assert.equal(status, 0, stderr);
    return !/did not answer|"silentProcesses": ?[1-9]/.test(stdout) && stdout;
  });
}

async function list(from = rig): Promise<OpenSessions> {
  return JSON.parse(await tell(['-o', 'json'], from)) as OpenSessions;
}

const of = ({ inbound }: OpenSessions, client: string) => inbound.filter((one) => one.client === client);

async function only(client: string): Promise<InboundSession> {
  const [one, ...others] = of(await list(), client);
  assert.equal(others.length, 0);
  return one ?? assert.fail(`no session of ${client}`);
}

test('without a client and a next hop there is nothing', async () => {
  assert.equal(await tell(), 'No client is connected.\n\nNo next hop is connected.\n');
});

test('a session in TLS with a login, after a message: what it is, and what it does', async () => {
  const client = await rig.secureClient('submission', {}, LOGGED_IN);
  await client.command(`AUTH PLAIN ${plain('app', 'correct horse')}`);
  assert.match(await client.send('a@x.example', ['b@y.example'], messageText('one')), /^250/);
  const first = await only(LOGGED_IN);
  const { id, since, tls, quietSeconds, ...rest } = first;
  assert.deepEqual(rest, {
    listener: 'submission',
    client: LOGGED_IN,
    helo: 'client.example',
    login: 'app',
    certificate: null,
    state: 'idle',
    messages: 1,
  });
  assert.match(`${tls?.version} ${tls?.cipher}`, /^TLSv1\.3 TLS_/);
  const seconds = (Date.now() - Date.parse(since)) / 1000;
  assert.ok(seconds >= 0 && seconds < 60 && quietSeconds <= seconds + 1, `${since} ${quietSeconds}`);
  await client.command('MAIL FROM:<a@x.example>');
  assert.equal((await only(LOGGED_IN)).state, 'MAIL');
  await client.command('RCPT TO:<b@y.example>');
  await client.command('DATA');
  client.write('Subject: slow\r\n');
  assert.deepEqual([(await only(LOGGED_IN)).state, (await only(LOGGED_IN)).id], ['DATA', id]);
  await client.command('\r\n.');
  assert.equal((await only(LOGGED_IN)).messages, 2);
  assert.match(
    await tell(['-o', 'wide']),
    /^submission +127\.0\.0\.41 +\d+[smh] +TLSv1\.3 +app +idle +\d+[smh] +2 +\S+ +client\.example /m,
  );
  client.close();
});

test('the connection to the next hop, with its messages', async () => {
  await rig.arrived('one');
  const { outbound } = await until('the kept connection', async () => {
    const all = await list();
    if (all.outbound.some(({ state }) => state === 'idle')) return all;
    // It is kept for twenty seconds: less than a busy machine may need for the list.
    const client = await rig.client('smtp', AGAIN);
    await client.send('a@x.example', ['b@y.example'], messageText('again'));
    await client.quit();
    return false;
  });
  assert.match(outbound[0]?.hop ?? '', /^127\.0\.0\.1:\d+$/);
  assert.ok((outbound[0]?.messages ?? 0) >= 1);
});

test('a session in plain text, one with a certificate, and those that have said nothing', async () => {
  const clear = await rig.client('smtp', IN_CLEAR);
  await clear.command('NONSENSE');
  const pair = await authority.issue(['app.client.example']);
  const certified = await rig.secureClient('machines', { pair }, CERTIFIED);
  await rig.connect('smtp', SILENT);
  await rig.connect('submissions', SILENT);
  const all = await until('the silent ones', async () => {
    const found = await list();
    return of(found, SILENT).length === 2 && found;
  });
  const states = of(all, SILENT).map(({ listener, state, tls, id }) => [listener, state, tls, id === null]);
  assert.deepEqual(states.toSorted(), [
    ['smtp', 'greeting', null, false],
    ['submissions', 'handshake', null, true],
  ]);
  assert.deepEqual(
    of(all, IN_CLEAR).map(({ tls, login, state }) => [tls, login, state]),
    [[null, null, 'other']],
  );
  assert.deepEqual(
    of(all, CERTIFIED).map(({ certificate, login }) => [certificate, login]),
    [['app.client.example', null]],
  );
  clear.close();
  certified.close();
});

test('who has gone is not listed', async () => {
  const going = await rig.client('smtp', IN_CLEAR);
  await until('the session', async () => of(await list(), IN_CLEAR).length === 1);
  await going.quit();
  await until('its end', async () => of(await list(), IN_CLEAR).length === 0);
  const reset = await rig.client('smtp', IN_CLEAR);
  reset.reset();
  await until('its end', async () => of(await list(), IN_CLEAR).length === 0);
});

test('of many the oldest are listed, and the others counted', async () => {
  const before = await list();
  const first = await rig.client('smtp', MANY);
  await until('the first', async () => of(await list(), MANY).length === 1);
  const clients: SmtpClient[] = [];
  for (let count = 0; count < MOST_SESSIONS + 20; count++)
    clients.push(await SmtpClient.connect(rig.port('smtp'), '127.0.0.1', MANY));
  const all = await until('all of them', async () => {
    const found = await list();
    return found.inbound.length + found.moreInbound === before.inbound.length + MOST_SESSIONS + 21 && found;
  });
  assert.equal(all.inbound.length, MOST_SESSIONS);
  assert.equal(of(all, MANY)[0]?.helo, 'client.example', 'the oldest');
  const begun = all.inbound.map(({ since }) => since);
  assert.deepEqual(begun, begun.toSorted());
  assert.match(await tell(), /^\.\.\. and \d+ more, which began later$/m);
  for (const client of [first, ...clients]) client.close();
});

test('an address of a client is written as in the log', async () => {
  const talking = async () => {
    const client = await rig.connect('smtp', IN_CLEAR);
    await client.reply();
    await client.command('EHLO joe@corp.example');
    return client;
  };
  const full = await talking();
  assert.equal((await only(IN_CLEAR)).helo, 'joe@corp.example');
  full.close();
  await rig.edit(await story('Domain'));
  await until('the end of the session', async () => of(await list(), IN_CLEAR).length === 0);
  const hidden = await talking();
  assert.equal((await only(IN_CLEAR)).helo, '@corp.example');
  hidden.close();
});

test('in mode CutThrough the connections of the listeners to next hops are listed', async (t) => {
  const passing = await Rig.start({
    listeners: { smtp: {} },
    inbound: { clients: { networks: ['127.0.0.0/8'] } },
    spec: (hop) => ({
      queue: { mode: 'CutThrough' },
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
    }),
  });
  t.after(() => passing.end());
  const client = await passing.client('smtp');
  assert.match(await client.send('a@x.example', ['b@y.example'], messageText('through')), /^250/);
  const { inbound, outbound } = await list(passing);
  assert.deepEqual(
    inbound.map(({ state, messages }) => [state, messages]),
    [['idle', 1]],
  );
  assert.deepEqual(
    outbound.map(({ state, messages }) => [state, messages]),
    [['idle', 1]],
  );
});
