/** The policy host over real TLS and HTTP: the one answer that it has, and everything else that strangers do. */
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, beforeEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { eventually } from '#test/kit/wait.ts';
import { PolicyServer } from './server.ts';

const HOSTS = ['mta-sts.example.com', 'mta-sts.example.org'];
const PATH = '/.well-known/mta-sts.txt';
const TEXT = 'version: STSv1\r\nmode: none\r\nmax_age: 60\r\n';

const authority: Authority = await makeAuthority();
const served = { hosts: HOSTS, text: TEXT, pair: await authority.issue(HOSTS) };
let counts: string[];
let policyServer: PolicyServer;
let server: Server;
const open = new Set<Socket>();

beforeEach(async () => {
  counts = [];
  policyServer = new PolicyServer(served, (result) => counts.push(result), 500);
  server = createServer({ pauseOnConnect: true }, (socket) => policyServer.receive(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  policyServer.end();
  server.close();
  for (const socket of open) socket.destroy();
});
after(() => server.close());

const port = () => (server.address() as AddressInfo).port;

interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly servername?: string;
}

function ask({ method = 'GET', path = PATH, host = HOSTS[0] ?? '', servername = host }: Ask = {}) {
  return new Promise<{ code: number | undefined; type: string | undefined; text: string }>((done, fail) => {
    const made = request(
      {
        ...{ host: '127.0.0.1', port: port(), method, path, servername, agent: false },
        ...{ ca: authority.cert, headers: { host }, checkServerIdentity: () => undefined },
      },
      async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        done({ code: response.statusCode, type: response.headers['content-type'], text });
      },
    );
    made.on('error', fail);
    made.end();
  });
}

test('each of the names gets the policy, and HEAD the same without it', async () => {
  for (const host of [...HOSTS, 'MTA-STS.Example.COM', 'mta-sts.example.com:443'])
    assert.deepEqual(
      await ask({ host, servername: HOSTS[0] ?? '' }),
      { code: 200, type: 'text/plain', text: TEXT },
      host,
    );
  assert.deepEqual(await ask({ method: 'HEAD' }), { code: 200, type: 'text/plain', text: '' });
  await eventually(() => policyServer.connections === 0);
  assert.deepEqual(new Set(counts), new Set(['served']));
});

test('other names, paths and methods get an error', async () => {
  const other: Ask[] = [
    { host: 'example.com' },
    { host: 'relay.example.com', servername: 'mta-sts.example.com' },
    { servername: 'relay.example.com' },
    { path: '/' },
    { path: `${PATH}/` },
    { path: `${PATH}?a=b` },
    { path: '/.well-known/../.well-known/mta-sts.txt' },
    { path: 'http://mta-sts.example.com/.well-known/mta-sts.txt' },
    { method: 'POST', path: '/' },
  ];
  for (const one of other) assert.equal((await ask(one)).code, 404, JSON.stringify(one));
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'])
    assert.equal((await ask({ method })).code, 405, method);
  assert.ok(!counts.includes('served'));
});

test('a new policy and a new pair count from the next connection on', async () => {
  const text = TEXT.replace('60', '61');
  const stranger = await makeAuthority('another CA');
  policyServer.use({ ...served, text });
  assert.equal((await ask()).text, text);
  policyServer.use({ ...served, pair: await stranger.issue(HOSTS) });
  await assert.rejects(ask(), /unable to verify|signature failure|self-signed/);
});

const raw = () => {
  const socket = connect(port(), '127.0.0.1');
  open.add(socket);
  socket.on('error', () => undefined);
  return socket;
};

const isClosed = (socket: Socket) => new Promise<void>((closed) => socket.once('close', () => closed()));

test('who says nothing, drips, speaks no TLS or an old one, or sends a large header, is cut off', async () => {
  const silent = raw();
  const garbage = raw();
  garbage.write('GET / HTTP/1.1\r\nHost: mta-sts.example.com\r\n\r\n');
  const old = connectTls({
    ...{ port: port(), host: '127.0.0.1', servername: HOSTS[0], ca: authority.cert },
    ...{ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
  });
  const large = connectTls({ port: port(), host: '127.0.0.1', servername: HOSTS[0], ca: authority.cert });
  const drip = connectTls({ port: port(), host: '127.0.0.1', servername: HOSTS[0], ca: authority.cert });
  for (const socket of [old, large, drip]) {
    open.add(socket);
    socket.on('error', () => undefined);
  }
  large.write(`GET ${PATH} HTTP/1.1\r\nHost: mta-sts.example.com\r\nX: ${'x'.repeat(20_000)}`);
  drip.write(`GET ${PATH} HTTP/1.1\r\n`);
  const dripping = setInterval(() => drip.write('X: y\r\n'), 50);
  silent.resume();
  garbage.resume();
  await Promise.all([silent, garbage, old, large, drip].map(isClosed));
  clearInterval(dripping);
  await eventually(() => policyServer.connections === 0);
  assert.ok(counts.includes('broken') && !counts.includes('served'), counts.join());
  assert.equal((await ask()).code, 200);
});

test('a crowd from one address keeps nobody out, and has a bound', async () => {
  const crowd = Array.from({ length: 40 }, raw);
  for (const socket of crowd) socket.resume();
  await eventually(() => crowd.some((socket) => socket.closed));
  assert.ok(policyServer.connections <= 8);
  assert.equal((await ask()).code, 200);
});
