/** Verbs that change an object of a relay: pause, resume, restart. Each is one patch, by the rights of the person. */
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { MAIL_RELAY, STATEFUL_SET } from '#operator/kube/kinds.ts';
import type { Cluster } from './cluster.ts';

/** The annotation of "kubectl rollout restart". The operator leaves annotations of others alone. */
const RESTARTED = 'kubectl.kubernetes.io/restartedAt';

export async function pause(cluster: Cluster, relay: string, isPaused: boolean): Promise<number> {
  await cluster.readRelay(relay);
  const annotations = { [ANNOTATIONS.paused]: isPaused ? 'true' : null };
  await cluster.request({
    method: 'PATCH',
    path: cluster.path(MAIL_RELAY, relay),
    contentType: 'application/merge-patch+json',
    body: { metadata: { annotations } },
  });
  process.stdout.write(
    isPaused
      ? `The operator leaves MailRelay ${relay} alone; its pods go on. "kubectl mailrelay resume ${relay}" ends this.\n`
      : `The operator looks after MailRelay ${relay} again.\n`,
  );
  return 0;
}

export async function restart(cluster: Cluster, relay: string): Promise<number> {
  await cluster.readRelay(relay);
  await cluster.request({
    method: 'PATCH',
    path: cluster.path(STATEFUL_SET, relay),
    contentType: 'application/merge-patch+json',
    body: { spec: { template: { metadata: { annotations: { [RESTARTED]: new Date().toISOString() } } } } },
  });
  process.stdout.write(
    `The pods of MailRelay ${relay} are replaced one at a time, each with its queue: see "kubectl get mr ${relay} -w".\n`,
  );
  return 0;
}
