/**
 * `kubectl mailrelay cert`: the certificate that each pod of a relay serves, and what is wrong with it. The exit status is 1
 * if something is, or if a pod does not say.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import { print } from '../output.ts';
import { describeCertificates, listCertificateProblems } from '../statustext.ts';
import { visible } from '../terminal.ts';
import type { Cluster } from './cluster.ts';
import type { Form } from './globals.ts';
import { describeErrors } from './inpods.ts';
import { readStatuses } from './top.ts';

interface CertOrder {
  readonly relay: string;
  readonly pod?: string | undefined;
  readonly form: Form;
}

export async function showCertificates(
  cluster: Pick<Cluster, 'readRelay' | 'listPods' | 'run'>,
  { relay, pod, form }: CertOrder,
): Promise<number> {
  const { status } = await cluster.readRelay(relay);
  const { statuses, silent } = await readStatuses(cluster, relay, pod);
  const condition = status?.conditions?.find(({ type }) => type === 'CertificateReady');
  const pods = [...statuses];
  process.stderr.write(describeErrors(silent));
  const value = {
    pods: Object.fromEntries(pods.map(([name, one]) => [name, one && pickCertificates(one)])),
    condition: condition ?? null,
  };
  await print(form, value, () => {
    const now = Date.now();
    const lines = pods.flatMap(([name, one]) => [
      name,
      ...(one ? describeCertificates(one, now) : ['no answer']),
    ]);
    const end = condition ? [visible(`${condition.reason}: ${condition.message}`)] : [];
    return `${[...lines, ...end].join('\n')}\n`;
  });
  const isWell = pods.every(([, one]) => one !== null && listCertificateProblems(one).length === 0);
  return isWell && condition?.status !== 'False' ? 0 : 1;
}

/** All that the status tells of certificates, by its names. */
function pickCertificates(status: PodStatus): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(status).filter(([name]) => /certificate/i.test(name)));
}
