/**
 * What a relay that runs here adds to the explanation of an address: whether the receiver has slowed it down, whether
 * the recipient is suppressed, and whether the relay holds back the mounted contents of a Secret, with which `--connect`
 * connects. Also where it keeps its policies.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import { POD_PATHS } from '#crds/wellknown.ts';
import { type Ladder, MX_HOSTS } from '#relay/delivery/ladder.ts';
import type { Suppressed } from '#relay/suppression/entry.ts';
import { QueueClient } from './queueclient.ts';
import { askStatus, findEndpoint, type NamedEndpoint } from './relaystatus.ts';
import { stateFolder } from './statefolder.ts';

/**
 * null: none runs here. Most manifests are explained where no relay runs, and a state folder says what it has also when
 * its relay is stopped.
 */
export async function askRunning(named: NamedEndpoint): Promise<PodStatus | null> {
  try {
    return await askStatus(findEndpoint(named));
  } catch (error) {
    if (named.address === undefined && named.adminPort === undefined) return null;
    throw error;
  }
}

/**
 * `file`: the manifest; without one the relay is that of the pod. null: no relay runs here, or it keeps its policies in
 * memory only.
 */
export function findStateDir(
  { queue }: Policy,
  file: string | undefined,
  named: string | undefined,
): string | null {
  if (named !== undefined) return stateFolder(named);
  if (queue.mode === 'CutThrough') return null;
  if (file === undefined) return POD_PATHS.state;
  try {
    return stateFolder(undefined);
  } catch {
    return null;
  }
}

/** Who gets no mail now. unknown: the policy suppresses recipients, and no relay runs here that could say which. */
export type Suppression =
  | { readonly kind: 'known'; readonly list: readonly Suppressed[] }
  | { kind: 'unknown' };

export async function askSuppressed({ queue }: Policy, stateDir: string | null): Promise<Suppression> {
  if (queue.suppression === null) return { kind: 'known', list: [] };
  try {
    if (stateDir === null) return { kind: 'unknown' };
    return { kind: 'known', list: (await new QueueClient(stateDir).suppressed()) ?? [] };
  } catch {
    return { kind: 'unknown' };
  }
}

/** Where the running relay may use another login or certificate than a connection of this command. */
export function describeIdentity(
  { outbound }: Policy,
  { mx, hosts }: Ladder,
  status: PodStatus | null,
): readonly string[] {
  const connected = hosts.filter(({ connection }) => connection);
  if (connected.length === 0) return [];
  const isByMx = mx.kind !== 'manifest';
  const named = [...outbound.smartHosts, ...outbound.routes.flatMap((route) => route.hosts ?? [])];
  const certificates = isByMx
    ? [outbound.clientCertificateSecret]
    : named
        .filter((hop) => connected.some((one) => one.host === hop.host && one.port === hop.port))
        .map((hop) => hop.clientCertificateSecret);
  if (certificates.every((secret) => secret === null)) return [];
  if (status === null)
    return [
      'connected with the mounted client certificate; no relay was asked whether it holds that back and uses an older one (--address)',
    ];
  const places = isByMx ? [MX_HOSTS] : connected.map(({ host, port }) => `${host}:${port}`);
  return (status.queue.secretsHeldBack ?? [])
    .filter(({ destination }) => places.includes(destination))
    .map(
      ({ destination, message }) =>
        `connected with the mounted contents, and the relay is not: ${destination}: ${message}`,
    );
}
