/**
 * The ConfigMap with the authority of the certificate inside the cluster, for workloads that verify the relay. The pods
 * tell it: it is public, and the operator reads no Secrets. While a pod has not told, or is still to come, what stands
 * there stays beside what the others tell, and that of pods that leave too: an authority goes when nobody serves it. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import type { World } from '../world.ts';
import { objectNames, renderMetadata } from './metadata.ts';
import type { Rendered } from './rendered.ts';

const FILE = 'ca.crt';

/** The certificates to publish, each once, in one order; empty when nothing is known. */
export function joinAuthorities({
  relay,
  pods,
  leaving = [],
  objects,
}: Pick<World, 'relay' | 'pods' | 'objects'> & Partial<Pick<World, 'leaving'>>): string {
  const told = [...pods, ...leaving].map(({ report }) => report?.internalAuthority ?? undefined);
  const isComplete = told.length > 0 && pods.length >= relay.spec.replicas && !told.includes(undefined);
  const stands = isComplete ? undefined : publishedIn(relay, objects);
  const certificates = [...told, stands].flatMap(
    (text) => text?.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [],
  );
  return [...new Set(certificates)].toSorted().join('\n');
}

export function renderAuthority(relay: MailRelay, authority: string): Rendered | undefined {
  if (!relay.spec.tls?.internal || authority === '') return undefined;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: renderMetadata(relay, objectNames.authority(relay.metadata.name)),
    data: { [FILE]: `${authority}\n` },
  };
}

function publishedIn(relay: MailRelay, objects: World['objects']): string | undefined {
  const live = objects.get(`ConfigMap/${objectNames.authority(relay.metadata.name)}`);
  return (live?.['data'] as Record<string, string> | undefined)?.[FILE];
}
