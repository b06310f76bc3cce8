/**
 * The ConfigMap with the authority of the internal certificate, for workloads that verify the relay. The pods report
 * the authority, which is public, because the operator reads no Secrets. As long as a pod is missing or has not
 * reported, the published authorities stay beside the reported ones. Pods that leave count too. An authority is removed
 * when no pod serves it any more. A new one is published before a pod serves it: the pod reports it, and waits until the
 * authorities file tells that it has been published. Pure.
 */
import { AUTHORITIES_FILE_NAME, printAuthorities } from '#crds/authoritiesfile.ts';
import { listCertificates } from '#crds/keypair.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { areAllSeen } from '../judge/allseen.ts';
import type { World } from '../world.ts';
import { objectNames, renderMetadata } from './metadata.ts';
import type { Rendered } from './rendered.ts';

const FILE = 'ca.crt';

/** The certificates to publish, each once and in a stable order; empty if no pod has reported any. */
export function joinAuthorities({
  relay,
  pods,
  leaving = [],
  objects,
  strangers = [],
  lacking,
}: Pick<World, 'relay' | 'pods' | 'objects' | 'strangers' | 'lacking'> &
  Partial<Pick<World, 'leaving'>>): string {
  const reports = [...pods, ...leaving].map(({ report }) => report);
  const told = reports.map((report) => report?.internalAuthority ?? undefined);
  const next = reports.map((report) => report?.nextInternalCertificate?.authority);
  const areSeen = areAllSeen({ relay, pods, leaving, objects, strangers, ...(lacking ? { lacking } : {}) });
  const isComplete = told.length > 0 && areSeen && !told.includes(undefined);
  const stands = isComplete ? undefined : publishedIn(relay, objects);
  const certificates = [...told, ...next, stands].flatMap(listCertificates);
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

/** The file for the pods, from the ConfigMap as it is in the cluster. None while there is no ConfigMap. */
export function renderAuthoritiesFile(relay: MailRelay, objects: World['objects'] = new Map()) {
  const published = relay.spec.tls?.internal && publishedIn(relay, objects);
  return published === undefined ? {} : { [AUTHORITIES_FILE_NAME]: printAuthorities(published) };
}

function publishedIn(relay: MailRelay, objects: World['objects']): string | undefined {
  const live = objects.get(`ConfigMap/${objectNames.authority(relay.metadata.name)}`);
  return (live?.['data'] as Record<string, string> | undefined)?.[FILE];
}
