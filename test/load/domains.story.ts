/** The story of domains.soak.ts: a DNS server and a policy host that know all domains, and the process that is measured. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { fileURLToPath } from 'node:url';
import packet from 'dns-packet';
import { type Authority, makeAuthority, type Pair } from '#test/kit/ca.ts';
import { policyText } from '#test/kit/policyhost.ts';
import { type Cost, DOMAINS, domainName, HOST, KINDS, type Kind, WARM_UP } from './domains.ts';

const TTL = 3_600;

function answer(name: string, type: string): packet.Answer[] {
  const ttl = TTL;
  if (type === 'MX') return [{ name, type, ttl, data: { preference: 10, exchange: `mx.${name}` } }];
  if (type === 'A') return [{ name, type, ttl, data: HOST }];
  if (type === 'TXT' && name.startsWith('_mta-sts.d'))
    return [{ name, type, ttl, data: 'v=STSv1; id=20260101' }];
  if (type !== 'TLSA') return [];
  const certificate = createHash('sha256').update(name).digest();
  return [{ name, type, ttl, data: { usage: 3, selector: 1, matchingType: 1, certificate } }];
}

const SOA = {
  mname: 'ns.example',
  rname: 'root.example',
  serial: 1,
  refresh: 1,
  retry: 1,
  expire: 1,
  minimum: 300,
};

async function serveDns(): Promise<() => void> {
  const socket = createSocket('udp4');
  socket.on('message', (message, { port, address }) => {
    const { id = 0, questions = [] } = packet.decode(message);
    const { name = '', type = 'A' } = questions[0] ?? {};
    const answers = answer(name.toLowerCase(), type);
    const reply = packet.encode({
      type: 'response',
      id,
      flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | packet.AUTHENTIC_DATA,
      questions,
      answers,
      authorities: answers.length > 0 ? [] : [{ name: 'example', type: 'SOA', ttl: 300, data: SOA }],
    });
    socket.send(reply, port, address);
  });
  socket.bind(53, '127.0.0.1');
  await once(socket, 'listening');
  return () => socket.close();
}

/** Each policy host has a certificate of its own. All are made before, so that nobody waits for them. */
async function servePolicies(authority: Authority): Promise<() => void> {
  const pairs = new Map<string, Pair>();
  for (let index = 0; index < DOMAINS + WARM_UP; index += 1) {
    const host = `mta-sts.${domainName('policy', index)}`;
    pairs.set(host, await authority.issue([host]));
  }
  const server = createServer({
    SNICallback: (host, done) => done(null, createSecureContext(pairs.get(host))),
  });
  server.on('request', ({ headers }, response) => {
    const mx = (headers.host ?? '').replace('mta-sts', 'mx');
    response.setHeader('content-type', 'text/plain').end(policyText('enforce', [mx]));
  });
  server.listen(443, HOST);
  await once(server, 'listening');
  return () => {
    server.close();
    server.closeAllConnections();
  };
}

async function measure(kind: Kind, trust: string): Promise<Cost> {
  const profile = process.env['PROFILE'];
  const child = fork(fileURLToPath(new URL('domains.measured.ts', import.meta.url)), [kind, trust], {
    execArgv: [
      '--expose-gc',
      '--max-semi-space-size=2',
      ...(profile ? ['--cpu-prof', `--cpu-prof-dir=${join(profile, kind)}`] : []),
    ],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  const exited = once(child, 'exit');
  const told = await Promise.race([once(child, 'message'), exited.then(() => undefined)]);
  assert.ok(told, 'the measured process ended');
  await exited;
  return told[0] as Cost;
}

test(`${DOMAINS} domains with DANE and MTA-STS, each looked up once`, async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'domains-'));
  const authority = await makeAuthority();
  const trust = join(dir, 'ca.crt');
  writeFileSync(trust, authority.cert);
  const ends = [await serveDns(), await servePolicies(authority)];
  try {
    for (const kind of KINDS)
      context.diagnostic(`${kind} ${DOMAINS} ${JSON.stringify(await measure(kind, trust))}`);
  } finally {
    for (const end of ends) end();
    rmSync(dir, { recursive: true, force: true });
  }
});
