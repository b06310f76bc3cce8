/**
 * The process that is measured by domains.soak.ts: it looks up DANE and MTA-STS of many domains, each once, and tells
 * what that cost. Its arguments are the kind of the domains and the file of the authority. Run with --expose-gc and the
 * flags of a task.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createSecureContext } from 'node:tls';
import { Discovery } from '#relay/delivery/discovery.ts';
import { mxTerms, resolveHops } from '#relay/delivery/resolver.ts';
import { NO_MATERIALS } from '#relay/task/materials.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { type Cost, DOMAINS, domainName, HOST, type Kind, WARM_UP } from './domains.ts';

const kind = process.argv[2] as Kind;
const ca = readFileSync(process.argv[3] ?? '', 'utf8');
const AT_A_TIME = 100;
const MIB = 2 ** 20;
const stateDir = mkdtempSync(join(tmpdir(), 'domains-'));
const policy = policyOf();
const outbound: typeof policy.outbound = {
  ...policy.outbound,
  discover: ['DANE', 'MTASTS'],
  resolver: { servers: [{ address: '127.0.0.1', port: 53 }], trustAD: true },
  trustConfigMap: 'trust',
};
const materials = {
  ...NO_MATERIALS,
  configMaps: { trust: { 'ca.crt': ca } },
};
const deps = { stateDir, log: () => undefined, count: () => undefined };
const discovery = new Discovery({ ...policy, outbound }, materials, deps);

/** As an attempt does it (attempt.ts). */
async function lookUp(domain: string): Promise<void> {
  const terms = mxTerms(
    { tlsLevel: 'Opportunistic', minTlsVersion: 'TLSv1.2', sourceAddresses: [], socksProxy: null },
    outbound,
  );
  const sts = discovery.findSts(domain);
  const found = await resolveHops(domain, terms, policy.hostname, discovery.names);
  if (found.kind === 'none') throw new Error(found.failure.text);
  const [hop] = found.hops;
  const dane = hop && (await discovery.findDane(hop));
  const kinds = [dane?.kind, (await sts).kind].join();
  if (kinds !== (kind === 'policy' ? 'records,policy' : 'records,none'))
    throw new Error(`${domain}: ${kinds}, ${JSON.stringify(await sts)}`);
}

/** With the settings of Node: who knows nothing better pays this. */
const context = createSecureContext({ ca });

function shakeHands(domain: string): Promise<void> {
  const servername = `mta-sts.${domain}`;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host: HOST, port: 443, servername, secureContext: context });
  socket.on('secureConnect', () => socket.destroy());
  socket.on('error', reject);
  socket.on('close', () => resolve());
  return promise;
}

const work = kind === 'handshake' ? shakeHands : lookUp;

async function workAll(first: number, count: number): Promise<void> {
  let next = first;
  const worker = async () => {
    while (next < first + count) await work(domainName(kind, next++));
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

function retainedMiB(): number {
  for (let round = 0; round < 4; round += 1) gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MIB;
}

/** VmRSS: now. VmHWM: the highest value since it was set back. */
function residentMiB(field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
}

await workAll(DOMAINS, WARM_UP);
const retained = retainedMiB();
writeFileSync('/proc/self/clear_refs', '5');
const [resident, cpu] = [residentMiB('VmRSS'), process.cpuUsage()];
await workAll(0, DOMAINS);
const { user, system } = process.cpuUsage(cpu);
const cost: Cost = {
  cpuMs: (user + system) / 1000 / DOMAINS,
  peakMiB: residentMiB('VmHWM') - resident,
  retainedMiB: retainedMiB() - retained,
};
process.send?.(cost);
await discovery.close();
rmSync(stateDir, { recursive: true, force: true });
process.disconnect?.();
