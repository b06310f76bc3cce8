/**
 * Decides which Certificate fills a Secret, because two that fill the same Secret overwrite each other for ever. The
 * effective names count, set or by default. In one relay the certificate of the host name comes first. Among several
 * relays the oldest Certificate comes first, and without Certificates the oldest relay. The other Certificate is not
 * written, and a condition reports it. Pure.
 */
import { certificateSecretName, internalSecretName, listSniCertificates } from '#crds/effective.ts';
import { policyHostSecretName } from '#crds/effectivedns.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { KubeObject } from '../kube/client.ts';
import { CERTIFICATE } from '../kube/kinds.ts';
import type { Rendered } from '../render/index.ts';
import type { FilledSecret, Obstacle, World } from '../world.ts';

/** Secrets that cert-manager fills for this relay; with `among` only those of these names. */
export function filledBy(
  relay: MailRelay,
  objects: ReadonlyMap<string, KubeObject>,
  among?: ReadonlySet<string>,
): FilledSecret[] {
  return listFilledSecrets(relay)
    .filter((secret) => among?.has(secret) ?? true)
    .map((secret) => describeClaim(relay, objects, secret));
}

function describeClaim(
  relay: MailRelay,
  objects: ReadonlyMap<string, KubeObject>,
  secret: string,
): FilledSecret {
  const certificate = [...objects.values()].find(
    ({ kind, spec }) =>
      kind === CERTIFICATE.kind && (spec as { secretName?: string } | undefined)?.secretName === secret,
  );
  return { secret, relay, since: certificate?.metadata.creationTimestamp };
}

/** The wanted objects without Certificates whose Secret belongs to another one, and an obstacle for each of those. */
export function withoutTaken(
  world: World,
  wanted: readonly Rendered[],
): { kept: Rendered[]; taken: Obstacle[] } {
  const taken: Obstacle[] = [];
  const seen = new Set(hostSecretOfUser(world.relay));
  const kept = wanted.filter((object) => {
    if (object.kind !== CERTIFICATE.kind) return true;
    const { secretName } = object['spec'] as { secretName: string };
    const by = seen.has(secretName) ? 'its certificate of the host name' : earlierThan(world, secretName);
    seen.add(secretName);
    if (by !== undefined) taken.push({ kind: 'secretTaken', object: `Secret/${secretName}`, by });
    return by === undefined;
  });
  return { kept, taken };
}

/** A Secret that a person fills. No Certificate may overwrite it. */
function hostSecretOfUser({ metadata, spec }: MailRelay): string[] {
  const name = certificateSecretName(metadata.name, spec);
  return name === undefined || spec.tls?.issuerRef ? [] : [name];
}

/** The names of these Secrets. */
export function listFilledSecrets({ metadata, spec }: MailRelay): string[] {
  const host = spec.tls?.issuerRef && certificateSecretName(metadata.name, spec);
  const inside = spec.tls?.internal?.issuerRef && internalSecretName(metadata.name, spec);
  const policyHost = spec.dns?.mtaSTS?.serve?.issuerRef && policyHostSecretName(metadata.name, spec);
  const others = listSniCertificates(metadata.name, spec).map(({ issuerRef, secret }) => issuerRef && secret);
  return [host, inside, ...others, policyHost].filter((name) => name !== undefined);
}

function earlierThan({ relay, objects, filled = [], keys }: World, secret: string): string | undefined {
  const next = keys?.next?.secret;
  const own =
    secret === next
      ? describeClaim(relay, objects, next)
      : filledBy(relay, objects).find((one) => one.secret === secret);
  const first = filled
    .filter((entry) => entry.secret === secret && entry.relay.metadata.uid !== relay.metadata.uid)
    .find((entry) => own !== undefined && sortKey(entry) < sortKey(own));
  return first && `MailRelay ${first.relay.metadata.name}`;
}

/** A key that sorts the earliest first. `~` is after every date. */
function sortKey({ since = '~', relay: { metadata } }: FilledSecret): string {
  return [since, metadata.creationTimestamp ?? '~', metadata.name].join(' ');
}
