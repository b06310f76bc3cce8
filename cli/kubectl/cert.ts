/** `kubectl mailrelay cert`: the certificate that each pod of a relay serves, and what is wrong with it. */
import type { PodStatus } from '#crds/podstatus.ts';
import { describeCertificates } from '../statustext.ts';
import type { Cluster } from './cluster.ts';
import { readStatuses } from './top.ts';

export async function showCertificates(cluster: Cluster, relay: string, pod?: string): Promise<number> {
  const { status } = await cluster.readRelay(relay);
  const statuses = await readStatuses(cluster, relay, pod);
  const now = Date.now();
  let isWell = true;
  for (const [name, one] of statuses) {
    if (one && hasProblem(one)) isWell = false;
    const lines = one ? describeCertificates(one, now) : ['no answer'];
    process.stdout.write(`${name}\n${lines.join('\n')}\n`);
  }
  const condition = status?.conditions?.find(({ type }) => type === 'CertificateReady');
  if (condition) process.stdout.write(`${condition.reason}: ${condition.message}\n`);
  return isWell && condition?.status !== 'False' ? 0 : 1;
}

function hasProblem({ certificateProblem, internalCertificateProblem, sniCertificates = [] }: PodStatus) {
  const others = sniCertificates.map(({ problem }) => problem);
  return [certificateProblem, internalCertificateProblem, ...others].some((problem) => problem !== null);
}
