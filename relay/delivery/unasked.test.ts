/** A process that has no file descriptor left, or no name server: that is no word on whether a domain has an MTA-STS policy. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import type { Policy } from '#crds/policyfile.ts';
import { NameServer } from '#test/kit/nameserver.ts';
import { freePort } from '#test/kit/ports.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { SYSTEM_DNS } from '../dns/system.ts';
import { SYSTEM_NAMES } from './names.ts';

const STRICT = 'strict.example';
const TXT = ['v=STSv1; id=1;'];
const port = await freePort();
const names = await NameServer.start(
  {
    'warm.example': { A: ['192.0.2.1'] },
    [`_mta-sts.${STRICT}`]: { TXT, ttl: 60 },
    [`mta-sts.${STRICT}`]: { A: ['192.0.2.1'], ttl: 60 },
    '_mta-sts.unsaid.example': { broken: true },
  },
  port,
);
after(() => names.stop());

const urlOf = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

/** Runs `script` in a process of its own, which may have few files open. Its value is what it finds, as texts. */
async function find(resolver: Policy['outbound']['resolver'], script: string): Promise<string[]> {
  const program = `
    import { openSync, closeSync } from 'node:fs';
    import { Discovery } from ${urlOf('discovery.ts')};
    import { SYSTEM_DNS } from ${urlOf('../dns/system.ts')};
    const policy = ${JSON.stringify(policyOf({}, { discover: ['MTASTS'], resolver }))};
    const deps = { log: () => undefined, count: () => undefined, stateDir: null };
    const begin = () => new Discovery(policy, { secrets: {}, configMaps: {} }, deps);
    const discovery = begin();
    const ask = (domain) => discovery.findSts(domain);
    const exhaust = () => {
      const open = [];
      try { for (;;) open.push(openSync('/dev/null', 'r')); } catch {}
      return () => open.forEach((one) => closeSync(one));
    };
    const told = ({ kind, failure }) => [kind, failure?.cause, failure?.text].filter(Boolean).join(' ');
    // The parser is there.
    const { readPolicyId } = await import(${urlOf('../mtasts/policyparser.ts')});
    await readPolicyId('a.example', [['v=STSv1; id=1;']]);
    const found = await (async () => { ${script} })();
    process.stdout.write(JSON.stringify(found.map(told)), () => process.exit());`;
  const shell = 'ulimit -n 64 && exec "$0" --input-type=module -e "$1"';
  const { stdout } = await promisify(execFile)('sh', ['-c', shell, process.execPath, program]);
  return JSON.parse(stdout) as string[];
}

/** This machine, where its text does not say so: no socket is kept for a later question, and so none closes meanwhile. */
const nearby = { servers: [{ address: '0.0.0.0', port }], trustAD: false };

test('a question that no socket can be made for is no absence of a policy, and one that a server cannot answer is', async () => {
  const script = `
    const before = [await ask('unsaid.example'), await ask('warm.example')];
    const release = exhaust();
    const without = await begin().findSts('${STRICT}');
    release();
    return [...before, without];`;
  const [unsaid, warm, without = ''] = await find(nearby, script);
  assert.deepEqual([unsaid, warm], ['none', 'none']);
  assert.match(without, /^unasked local .*the name server cannot be reached/);
});

test('the same by the DNS of the system, whose library does not say why', async () => {
  const script = `
    SYSTEM_DNS.resolver.setServers(['127.0.0.1:${port}']);
    const before = await ask('warm.example');
    const release = exhaust();
    const without = await ask('${STRICT}');
    release();
    return [before, without];`;
  const [warm, without = ''] = await find(null, script);
  assert.equal(warm, 'none');
  assert.match(without, /^unasked local .*the name server cannot be reached/);
});

test('a policy host that no socket can be made for, or whose address nobody can be asked for, has not failed', async () => {
  const script = `
    const [known, host] = [discovery.names.lookUp, 'mta-sts.${STRICT}'];
    await Promise.all([known('_mta-sts.${STRICT}', 'TXT'), known(host, 'A'), known(host, 'AAAA')]);
    const other = begin();
    const unknown = other.names.lookUp;
    other.names.lookUp = (name, type) => (type === 'TXT' ? known : unknown)(name, type);
    const release = exhaust();
    const found = [await other.findSts('${STRICT}'), await ask('${STRICT}')];
    release();
    return found;`;
  const [nameless = '', socketless = ''] = await find(nearby, script);
  assert.match(nameless, /^unasked local .*the name server cannot be reached/);
  assert.match(socketless, /^unasked local .*too many files are open/);
});

test('where one server of the system is away, what another one cannot say of a name is no lack of ours', async () => {
  const lost = createSocket('udp4', (_, { port: from, address }) => lost.send('?', from, address));
  await new Promise<void>((resolve) => lost.bind(0, '127.0.0.1', resolve));
  const servers = [`127.0.0.1:${lost.address().port}`, `127.0.0.1:${await freePort()}`];
  const isUnasked = async (...some: string[]) => {
    SYSTEM_DNS.resolver.setServers(some);
    const answer = await SYSTEM_NAMES.lookUp('_mta-sts.lame.example', 'TXT');
    return answer.kind === 'failed' && answer.isUnasked === true;
  };
  const [there = '', away = ''] = servers;
  const found = [await isUnasked(there, away), await isUnasked(away, there), await isUnasked(away, away)];
  const known = `127.0.0.1:${port}`;
  SYSTEM_DNS.resolver.setServers([away, known]);
  const { kind } = await SYSTEM_NAMES.lookUp('warm.example', 'A');
  lost.close();
  assert.deepEqual([...found, kind], [false, false, true, 'records']);
});
