/**
 * DANE-TA where the second connection is not as the first one: several machines behind one address, and one connection at
 * a time.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, test } from 'node:test';
import type { Pair } from '#test/kit/ca.ts';
import { starttlsPeer } from '#test/kit/clientrig.ts';
import { Hop } from '#test/kit/hop.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { CA, OpensslAuthority } from '#test/kit/opensslca.ts';
import { freePort } from '#test/kit/ports.ts';
import { hopTo, makeParcel } from '#test/kit/relayrig.ts';
import { tlsaRecord } from '#test/kit/tlsarecord.ts';
import { until } from '#test/kit/wait.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import type { SmtpClient } from './smtpclient.ts';
import { usableRecords } from './tlsa.ts';
import { NO_FINDINGS } from './tlsfindings.ts';

const HOST = 'mx.example.net';
const openssl = new OpensslAuthority();
after(() => openssl.remove());
const root = openssl.issue('root', CA);
const [first, second] = ['first', 'second'].map((name) => openssl.issue(name, CA, root)) as [Pair, Pair];

function issueBy(by: Pair): Pair {
  const leaf = openssl.issue('leaf', ['basicConstraints=CA:false', `subjectAltName=DNS:${HOST}`], by);
  return { cert: `${leaf.cert}\n${by.cert}`, key: leaf.key, serial: '' };
}

async function startMachine(by: Pair, offers: readonly string[] = []): Promise<{ port: number; hop: Hop }> {
  const port = await freePort();
  const hop = await Hop.start({ port, pair: issueBy(by), tls: {}, offers });
  after(() => hop.down());
  return { port, hop };
}

interface Front {
  readonly port: number;
  readonly made: () => number;
  readonly open: () => number;
}

/** A port before machines. `choose`: the port of the machine for a connection, or nothing to refuse it. */
async function startFront(choose: (made: number, open: number) => number | undefined): Promise<Front> {
  let [made, open] = [0, 0];
  const front = net.createServer((client) => {
    const to = choose(made++, open++);
    client.on('close', () => open--);
    client.on('error', () => client.destroy());
    if (to === undefined) {
      client.end('421 4.7.0 Too many connections\r\n');
      return;
    }
    const machine = net.connect(to, '127.0.0.1');
    client.pipe(machine).pipe(client);
    machine.on('error', () => client.destroy());
    client.on('close', () => machine.destroy());
  });
  const port = await freePort();
  await new Promise<void>((resolve) => front.listen(port, '127.0.0.1', resolve));
  after(() => front.close());
  return { port, open: () => open, made: () => made };
}

async function deliverOnce(client: SmtpClient, port: number, requireTls: boolean): Promise<HopResult> {
  const dane = {
    kind: 'records',
    base: HOST,
    // Of intermediate authorities, as many hosts publish them.
    records: usableRecords([first, second].map(({ cert }) => tlsaRecord(cert, 2, 1, 1))),
  } as const;
  const hop = { ...hopTo(port, { host: HOST }), mxOf: 'example.net', isMxSigned: true };
  const budget = new AttemptBudget();
  const way = wayTo(hop, { ...NO_FINDINGS, dane });
  const parcel = makeParcel('Subject: x\r\n\r\nx\r\n', { requireTls });
  const result = await client.deliver(way, '127.0.0.1', parcel, budget);
  budget.close();
  return result;
}

/** What came of so many attempts, one after the other. */
async function attempt({ port, open }: Front, times: number, requireTls = false): Promise<string[]> {
  const client = clientWith();
  after(() => client.close());
  const came: string[] = [];
  for (let index = 0; index < times; index++) {
    const result = await deliverOnce(client, port, requireTls);
    // The next attempt is minutes later: nothing of this one is open then.
    if (result.kind !== 'answered') await until('the end of its connections', () => open() === 0);
    came.push(result.kind === 'answered' ? 'delivered' : result.failure.cause);
  }
  return came;
}

test('machines in turn, each with an intermediate authority of its own, get their mail', async () => {
  const [one, other] = [await startMachine(first), await startMachine(second)];
  const front = await startFront((made) => (made % 2 === 0 ? one.port : other.port));
  const came = await attempt(front, 4);
  assert.deepEqual(came.slice(1), ['delivered', 'delivered', 'delivered'], came.join());
});

test('a host that takes one connection at a time gets its mail', async () => {
  const { port: machine } = await startMachine(first);
  const front = await startFront((_made, open) => (open === 0 ? machine : undefined));
  assert.deepEqual(await attempt(front, 1), ['delivered']);
});

for (const [offers, came, made] of [
  [[], 'requiretls', 1],
  [['REQUIRETLS'], 'delivered', 2],
] as const)
  test(`mail that requires TLS, a new anchor and a host that ${came === 'delivered' ? 'offers' : 'lacks'} REQUIRETLS: connections ${made}`, async () => {
    const { port: machine } = await startMachine(first, offers);
    const front = await startFront(() => machine);
    assert.deepEqual([await attempt(front, 1, true), front.made()], [[came], made]);
  });

test('mail that requires TLS, a new anchor and a host that refuses EHLO under TLS: it may offer REQUIRETLS later, and the mail waits', async () => {
  const { port } = await starttlsPeer(
    issueBy(first),
    (line) => (line.startsWith('EHLO') ? '250-peer\r\n250 STARTTLS' : undefined),
    (line) => (line.startsWith('EHLO') ? '503 5.5.1 duplicate EHLO' : undefined),
  );
  const client = clientWith();
  after(() => client.close());
  const result = await deliverOnce(client, port, true);
  assert.ok(result.kind === 'unreachable');
  assert.deepEqual([result.failure.status, result.failure.permanent], ['4.7.30', false]);
});
