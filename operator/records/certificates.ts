/**
 * The Certificates of the host name that a relay has. There is one, named after the relay; while a key that DNS publishes
 * rolls over there are two, and the second one keeps its own name. Pure.
 */
import { effectiveDns } from '#crds/effectivedns.ts';
import { objectNames } from '../render/metadata.ts';
import type { World } from '../world.ts';

type Observed = Pick<World, 'relay' | 'objects'>;
type PrivateKey = NonNullable<NonNullable<World['relay']['spec']['tls']>['privateKey']>;

interface LiveCertificate {
  readonly name: string;
  readonly secret: string;
  readonly privateKey: PrivateKey | undefined;
}

export function listHostCertificates({ relay, objects }: Observed): LiveCertificate[] {
  const { internalCertificate, policyHostCertificate, isSniCertificate } = objectNames;
  const { name: relayName } = relay.metadata;
  const others = [internalCertificate, policyHostCertificate].map((nameFor) => nameFor(relayName));
  return [...objects.values()]
    .flatMap(({ kind, metadata: { name }, spec }) => {
      const { secretName, privateKey } = (spec ?? {}) as { secretName?: string; privateKey?: PrivateKey };
      const isOther = others.includes(name) || isSniCertificate(relayName, name);
      return kind === 'Certificate' && !isOther && secretName !== undefined
        ? [{ name, secret: secretName, privateKey }]
        : [];
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The name of the Certificate that fills this Secret, or will. */
export function findCertificateName(world: Observed, secret: string | undefined): string {
  const { name } = world.relay.metadata;
  if (!effectiveDns(world.relay.spec).tlsa || secret === undefined) return name;
  const live = listHostCertificates(world);
  const own = live.find((one) => one.secret === secret);
  if (own) return own.name;
  return live.some((one) => one.name === name) ? objectNames.secondCertificate(name, secret) : name;
}
