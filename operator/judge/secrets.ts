/**
 * Decides which Certificate fills a Secret, because two that fill the same Secret overwrite each other for ever. The
 * effective names count, set or by default. In one relay the certificate of the host name comes first. Among several
 * relays the oldest Certificate comes first, and without Certificates the oldest relay. The other Certificate is not
 * written, and a condition reports it. A certificate without an issuer only reads its Secret, so it takes none; but a new
 * Certificate does not overwrite the one of the host name that a person fills. Pure.
 */
import { hostSecretOfUser, listCertificateSecrets, nameField } from '#crds/certificatesecrets.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { KeptObject } from '../kube/client.ts';
import { CERTIFICATE } from '../kube/kinds.ts';
import { isKnown } from '../kube/partial.ts';
import type { Rendered } from '../render/index.ts';
import type { FilledSecret, Obstacle, World } from '../world.ts';

/** Secrets that cert-manager fills for this relay; with `among` only those of these names. */
export function filledBy(
  relay: MailRelay,
  objects: ReadonlyMap<string, KeptObject>,
  among?: ReadonlySet<string>,
): FilledSecret[] {
  return listFilledSecrets(relay)
    .filter((secret) => among?.has(secret) ?? true)
    .map((secret) => describeClaim(relay, objects, secret));
}

function describeClaim(
  relay: MailRelay,
  objects: ReadonlyMap<string, KeptObject>,
  secret: string,
): FilledSecret {
  const certificate = [...objects.values()].find(
    (one) =>
      one.kind === CERTIFICATE.kind &&
      isKnown(one) &&
      (one['spec'] as { secretName?: string } | undefined)?.secretName === secret,
  );
  return { secret, relay, since: certificate?.metadata.creationTimestamp };
}

/** The wanted objects without Certificates whose Secret belongs to another one, and an obstacle for each of those. */
export function withoutTaken(
  world: World,
  wanted: readonly Rendered[],
): { kept: Rendered[]; taken: Obstacle[] } {
  const taken: Obstacle[] = [];
  const { metadata, spec } = world.relay;
  const issued = listCertificateSecrets(metadata.name, spec).filter(({ isIssued }) => isIssued);
  const seen = new Map<string, string>();
  const kept = wanted.filter((object) => {
    if (object.kind !== CERTIFICATE.kind) return true;
    const { secretName } = object['spec'] as { secretName: string };
    const users = hostSecretOfUser(metadata.name, spec) === secretName && !isThere(world, object);
    const by = seen.get(secretName) ?? (users ? 'tls by a person' : earlierThan(world, secretName));
    const role = issued.find(({ secret }) => secret === secretName);
    if (!seen.has(secretName))
      seen.set(secretName, `its certificate of ${role ? nameField(role.keys) : 'tls'}`);
    if (by !== undefined) taken.push({ kind: 'secretTaken', object: `Secret/${secretName}`, by });
    return by === undefined;
  });
  return { kept, taken };
}

/** True if this Certificate fills its Secret already. Then nothing of a person is left in it. */
function isThere({ objects }: World, { kind, metadata, spec }: Rendered): boolean {
  const live = objects.get(`${kind}/${metadata.name}`)?.['spec'] as { secretName?: string } | undefined;
  return live?.secretName === (spec as { secretName: string }).secretName;
}

/** The names of the Secrets that cert-manager fills for this relay. */
export function listFilledSecrets({ metadata, spec }: MailRelay): string[] {
  return listCertificateSecrets(metadata.name, spec).flatMap(({ secret, isIssued }) =>
    isIssued ? [secret] : [],
  );
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
