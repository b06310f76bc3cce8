/**
 * Decides which Certificate fills a Secret, because two that fill the same Secret overwrite each other for ever. The
 * effective names count, set or by default. In one relay a Secret that a person fills is filled by no Certificate, and
 * the certificate of the host name comes first. Among several
 * relays the oldest Certificate comes first, and without Certificates the oldest relay. The other Certificate is not
 * written, and a condition reports it. Pure.
 */
import { listCertificateSecrets, nameField } from '#crds/certificatesecrets.ts';
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
  const own = listCertificateSecrets(world.relay.metadata.name, world.relay.spec);
  const seen = new Map(
    own
      .filter(({ isIssued }) => !isIssued)
      .map(({ secret, keys }) => [secret, `${nameField(keys)} by a person`]),
  );
  const kept = wanted.filter((object) => {
    if (object.kind !== CERTIFICATE.kind) return true;
    const { secretName } = object['spec'] as { secretName: string };
    const by = seen.get(secretName) ?? earlierThan(world, secretName);
    const role = own.find(({ secret }) => secret === secretName);
    if (!seen.has(secretName))
      seen.set(secretName, `its certificate of ${role ? nameField(role.keys) : 'tls'}`);
    if (by !== undefined) taken.push({ kind: 'secretTaken', object: `Secret/${secretName}`, by });
    return by === undefined;
  });
  return { kept, taken };
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
