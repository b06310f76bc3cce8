/**
 * The story of httpclients.test.ts: each HTTP client of the relay asks servers that do all but answer. Whatever they do,
 * each request settles within its time, as a failure, and the client can be used on. The servers are trusted by authorities that
 * certify each other, and no client walks that circle.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, mock, test } from 'node:test';
import { createSecureContext, createServer as createTlsServer } from 'node:tls';
import { QueueClient } from '#cli/queueclient.ts';
import { CONTROL_SOCKET } from '#crds/wellknown.ts';
import { TokenJudge } from '#relay/auth/tokens.ts';
import { requestToken } from '#relay/delivery/tokenrequest.ts';
import { post } from '#relay/events/post.ts';
import { ask } from '#relay/filter/request.ts';
import { Sibling } from '#relay/handover/sibling.ts';
import { fetchPolicy, makeFetchContext } from '#relay/mtasts/fetch.ts';
import { monotonic, wall } from '#relay/task/clock.ts';
import type { PairText } from '#relay/task/messages.ts';
import { makeCa, type Trust } from '#relay/task/trust.ts';
import { postReport } from '#relay/tlsrpt/post.ts';
import { makePair, type Pair } from '#test/kit/ca.ts';
import { badBodies, HOSTILITIES, type Hostility } from '#test/kit/hostileserver.ts';
import { CA, OpensslAuthority } from '#test/kit/opensslca.ts';
import { policyText } from '#test/kit/policyhost.ts';

/** All times of the clients are cut to this. */
let withinMs = 400;
/** So long after that a request counts as one that never settles, on a busy machine too. */
const NEVER_MS = 30_000;
const STRANGER = '192.0.2.1';
const TOKEN = `${btoa('{"alg":"ES256","kid":"1"}')}.${btoa('{"iss":"https://hostile.example:444"}')}.AAAA`;

const stateDir = mkdtempSync(join(tmpdir(), 'httpclients-'));
const servers: Server[] = [];
let manner: Hostility = () => undefined;
/** The requests that arrived, each kind once. */
const asked = new Set<string>();
let pair: Pair;
let own: PairText;
let trust: Trust;

/** Answers when the request has come, as a server does. */
function serveBadly(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.once('data', (head) => {
    asked.add(head.toString().split(' HTTP/')[0] ?? '');
    manner(socket);
  });
}

async function listen(server: Server, ...where: [number, string] | [string]): Promise<void> {
  await new Promise<void>((resolve) => server.listen(...(where as [number, string]), resolve));
  servers.push(server);
}

before(async () => {
  const authorities = new OpensslAuthority();
  const one = authorities.issue('one', CA);
  const other = authorities.issue('other', CA, one);
  trust = { kind: 'list', authorities: [other, authorities.again(one, CA, other)].map(({ cert }) => cert) };
  const names = ['hostile.example', 'mta-sts.hostile.example', 'localhost'].map((name) => `DNS:${name}`);
  pair = authorities.issue('leaf', ['basicConstraints=CA:false', `subjectAltName=${names}`], other);
  authorities.remove();
  own = await makePair();
  for (const [port, host] of [
    [443, STRANGER],
    [443, '127.0.0.1'],
  ] as const)
    await listen(createTlsServer(pair, serveBadly), port, host);
  const pinned = { ...own, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' } as const;
  await listen(createTlsServer(pinned, serveBadly), 445, '127.0.0.1');
  await listen(createServer(serveBadly), 80, '127.0.0.1');
  await listen(createServer(serveBadly), join(stateDir, CONTROL_SOCKET));
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  mock.method(AbortSignal, 'timeout', (ms: number) => timeout(Math.min(ms, withinMs)));
  const { setTimeout: later } = globalThis;
  // The timers of the HTTP library get their argument too.
  mock.method(globalThis, 'setTimeout', (job: () => void, ms: number, ...args: []) =>
    later(job, ms === 60_000 ? withinMs : ms, ...args),
  );
});

after(() => {
  mock.restoreAll();
  for (const server of servers) server.close();
  rmSync(stateDir, { recursive: true });
});

const context = () => createSecureContext(makeCa(trust));
const lookUp = async () => [STRANGER];
const signal = () => AbortSignal.timeout(withinMs);

/** True: the client takes this for a success. */
const CLIENTS: Readonly<Record<string, () => Promise<boolean>>> = {
  'the policy of a domain': async () => {
    const terms = { lookUp, context: makeFetchContext(makeCa(trust)), signal: signal() };
    return (await fetchPolicy('hostile.example', terms)).kind !== 'failed';
  },
  'a TLS report': async () => {
    const terms = { lookUp, context: context(), signal: signal() };
    return (await postReport('https://hostile.example/report', Buffer.alloc(9), terms)).kind !== 'failed';
  },
  events: async () => {
    const terms = { headers: {}, context: context(), signal: new AbortController().signal };
    return (await post('https://localhost/events', Buffer.from('{}'), terms)).kind === 'taken';
  },
  'a content filter': async () => {
    const terms = {
      headers: {},
      body: Readable.from([Buffer.from('x')]),
      context: undefined,
      withinSeconds: 9,
    };
    return (await ask('http://127.0.0.1/filter', terms)).kind !== 'failed';
  },
  'a content filter over TLS': async () => {
    const terms = {
      headers: {},
      body: Readable.from([Buffer.from('x')]),
      context: context(),
      withinSeconds: 9,
    };
    return (await ask('https://localhost/secure', terms)).kind !== 'failed';
  },
  'the keys of an issuer': async () => {
    const terms = { issuer: 'https://localhost', audience: 'smtp', subjects: ['*'], keys: null, trust };
    return (
      (await new TokenJudge(terms, { monotonic, wall }).judge(TOKEN, new AbortController().signal)).kind !==
      'unavailable'
    );
  },
  'a token of a next hop': async () => {
    const grant = {
      kind: 'client secret',
      tokenURL: 'http://127.0.0.1/token',
      scope: null,
      clientId: 'a',
      clientSecret: 'b',
    };
    return (await requestToken(grant as Parameters<typeof requestToken>[0])).kind !== 'unavailable';
  },
  'policies for a sibling': async () => {
    const sibling = new Sibling({ host: '127.0.0.1', port: 445 }, own, monotonic);
    const { kind } = await sibling.offerPolicies('x'.repeat(200_000));
    sibling.close();
    return kind === 'taken';
  },
  'the queue of a relay': () =>
    new QueueClient(stateDir).do('hold', ['x']).then(
      () => true,
      () => false,
    ),
};

/** The clients that read no body. */
const HEAD_IS_ENOUGH = new Set(['a TLS report', 'events']);
/** It reads without a time: its server is the relay of the same machine, and a person waits. */
const PATIENT = 'the queue of a relay';

async function settle(what: string, client: () => Promise<boolean>): Promise<string> {
  let late: NodeJS.Timeout | undefined;
  const never = new Promise<string>((resolve) => {
    late = setTimeout(() => resolve(`${what}: never`), NEVER_MS);
  });
  const told = client().then((isTaken) => `${what}: ${isTaken ? 'taken' : 'failed'}`);
  return Promise.race([told, never]).finally(() => clearTimeout(late));
}

async function settleAll(hostility: Hostility, isMeant: (name: string) => boolean): Promise<void> {
  manner = hostility;
  const names = Object.keys(CLIENTS).filter(isMeant);
  const told = await Promise.all(names.map((name) => settle(name, CLIENTS[name] as () => Promise<boolean>)));
  assert.deepEqual(
    told,
    names.map((name) => `${name}: failed`),
  );
}

for (const [what, hostility] of Object.entries(HOSTILITIES))
  test(`no client takes this for an answer, or waits for more: ${what}`, () =>
    settleAll(hostility, () => true));

for (const what of Object.keys(badBodies('')))
  test(`no client takes this for an answer, or waits for more: ${what}`, async () => {
    const bodyOf = (type: string, body?: string) => badBodies(type, body)[what] as Hostility;
    await settleAll(bodyOf('application/json'), (name) => !HEAD_IS_ENOUGH.has(name) && name !== PATIENT);
    const part = policyText('enforce', ['mx.hostile.example']);
    await settleAll(bodyOf('text/plain', part), (name) => name === 'the policy of a domain');
  });

test('a client is as good as before', async () => {
  withinMs = NEVER_MS;
  manner = (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]');
  for (const name of ['a TLS report', 'events', 'a content filter', 'a content filter over TLS', PATIENT])
    assert.equal(await settle(name, CLIENTS[name] as () => Promise<boolean>), `${name}: taken`);
  assert.equal(asked.size, Object.keys(CLIENTS).length, [...asked].join());
});
