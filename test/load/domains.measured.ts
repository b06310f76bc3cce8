/**
 * The process that is measured by domains.soak.ts: it looks up DANE and MTA-STS of many domains, each once, and tells
 * what that cost. Run with --expose-gc and the flags of a task.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Discovery } from '#relay/delivery/discovery.ts';
import { mxTerms, resolveHops } from '#relay/delivery/resolver.ts';
import { NO_MATERIALS } from '#relay/task/materials.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { type Cost, DOMAINS, domainName, WARM_UP } from './domains.ts';

const AT_A_TIME = 100;
const MIB = 2 ** 20;
const stateDir = mkdtempSync(join(tmpdir(), 'domains-'));
const policy = policyOf();
const outbound: typeof policy.outbound = {
  ...policy.outbound,
  discover: (process.env['DISCOVER'] ?? 'DANE,MTASTS').split(',') as ('DANE' | 'MTASTS')[],
  resolver: { servers: [{ address: '127.0.0.1', port: 53 }], trustAD: true },
  trustConfigMap: 'trust',
};
const materials = {
  ...NO_MATERIALS,
  configMaps: { trust: { 'ca.crt': readFileSync(process.argv[2] ?? '', 'utf8') } },
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
  const wanted = [
    outbound.discover.includes('DANE') ? 'records' : 'off',
    outbound.discover.includes('MTASTS') ? 'policy' : 'none',
  ].join();
  if (kinds !== wanted) throw new Error(`${domain}: ${kinds}, ${JSON.stringify(await sts)}`);
}

async function lookUpAll(first: number, count: number): Promise<void> {
  let next = first;
  const worker = async () => {
    while (next < first + count) await lookUp(domainName(next++));
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

await lookUpAll(DOMAINS, WARM_UP);
const retained = retainedMiB();
writeFileSync('/proc/self/clear_refs', '5');
const [resident, cpu] = [residentMiB('VmRSS'), process.cpuUsage()];
await lookUpAll(0, DOMAINS);
const { user, system } = process.cpuUsage(cpu);
const cost: Cost = {
  cpuMs: (user + system) / 1000 / DOMAINS,
  peakMiB: residentMiB('VmHWM') - resident,
  retainedMiB: retainedMiB() - retained,
};
if (process.env['SNAPSHOT']) (await import('node:v8')).writeHeapSnapshot(process.env['SNAPSHOT']);
process.send?.(cost);
await discovery.close();
rmSync(stateDir, { recursive: true, force: true });
process.disconnect?.();
