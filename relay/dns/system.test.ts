/** A changed resolv.conf is seen. The file is one of the test, and names its servers with their ports. */
import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { NameServer } from '#test/kit/nameserver.ts';
import { freePort } from '#test/kit/ports.ts';
import { SystemDns } from './system.ts';

const dir = mkdtempSync(join(tmpdir(), 'resolv-'));
const path = join(dir, 'resolv.conf');
const servers: NameServer[] = [];
const lines: string[] = [];
let now = 0;
let made = 0;

before(async () => {
  for (const address of ['192.0.2.1', '192.0.2.2']) {
    const port = await freePort();
    servers.push(await NameServer.start({ 'mx.example': { A: [address] } }, port));
    lines.push(`search ${address}.example\nnameserver 127.0.0.1:${port}\n`);
  }
});
beforeEach(() => {
  made = 0;
  writeFileSync(path, lines[0] ?? '');
});
after(() => {
  for (const server of servers) server.stop();
  rmSync(dir, { recursive: true });
});

function makeResolver(): Resolver {
  made += 1;
  const resolver = new Resolver();
  resolver.setServers([/^nameserver (.+)$/m.exec(readFileSync(path, 'utf8'))?.[1] ?? '']);
  return resolver;
}

const open = (file = path) => new SystemDns({ path: file, clock: () => now, makeResolver });
const lookUp = (dns: SystemDns) => dns.resolver.resolve4('mx.example');

function change(how: 'written' | 'replaced', text: string): void {
  if (how === 'written') writeFileSync(path, text);
  else {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  }
}

for (const how of ['written', 'replaced'] as const)
  test(`a file that is ${how} anew is read within seconds, and once`, async () => {
    const dns = open();
    assert.deepEqual(await lookUp(dns), ['192.0.2.1']);
    change(how, lines[1] ?? '');
    assert.deepEqual(await lookUp(dns), ['192.0.2.1']);
    now += 2_000;
    assert.deepEqual(await lookUp(dns), ['192.0.2.2']);
    assert.match(dns.text, /192\.0\.2\.2\.example/);
    now += 60_000;
    assert.deepEqual(await lookUp(dns), ['192.0.2.2']);
    assert.equal(made, 2);
  });

test('while the file is gone or empty, the servers before are asked', async () => {
  const dns = open();
  await lookUp(dns);
  for (const remove of [() => rmSync(path), () => writeFileSync(path, '')]) {
    remove();
    now += 2_000;
    assert.deepEqual(await lookUp(dns), ['192.0.2.1']);
  }
  change('written', lines[1] ?? '');
  now += 2_000;
  assert.deepEqual(await lookUp(dns), ['192.0.2.2']);
});

test('a system without the file has the servers that Node chooses', () => {
  const dns = new SystemDns({
    path: join(dir, 'none'),
    clock: () => now,
    makeResolver: () => new Resolver(),
  });
  assert.ok(dns.resolver.getServers().length > 0);
  assert.equal(dns.resolver, dns.resolver);
  assert.equal(dns.text, '');
});
