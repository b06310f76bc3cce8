/**
 * The check of objects that mail does not need. Whatever is in their way, the relay is Ready, and it is a note. So it is
 * for the NetworkPolicy where no listener has `allowFrom`: without it the relay itself still decides by networks and
 * logins who may send. Nothing but the NetworkPolicy enforces `allowFrom`. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { objectNames } from '../render/metadata.ts';
import { LABELS, type Obstacle, REFRESH } from '../world.ts';
import { type Check, is } from './finding.ts';
import { quoted } from './words.ts';

interface Extra {
  /** The names of these objects. */
  readonly object: RegExp;
  /** What is different without the object. */
  readonly consequence: string;
  /** How to do without it. */
  readonly without?: string;
  /** True for a relay that needs the object nevertheless. */
  readonly isNeeded?: (relay: MailRelay) => boolean;
}

const EXTRAS: readonly Extra[] = [
  {
    object: /^PodMonitor\//,
    consequence: 'Prometheus does not find the metrics',
    without: 'podMonitor.enabled: false',
  },
  {
    object: /^DNSEndpoint\//,
    consequence: 'external-dns does not know the records of status.dnsRecords',
    without: 'dns.publish: None',
  },
  {
    object: /^PodDisruptionBudget\//,
    consequence: 'a drained node may take all pods at once',
    without: 'podDisruptionBudget.enabled: false',
  },
  {
    object: /^NetworkPolicy\//,
    consequence: 'strangers on the network may reach ports of the pods that it closes to them',
    without: 'networkPolicy.enabled: false',
    isNeeded: ({ spec }) => spec.inbound.listeners.some(({ allowFrom }) => allowFrom !== undefined),
  },
  {
    // The other ConfigMap has the policy.
    object: new RegExp(`^ConfigMap/.*${objectNames.authority('')}$`),
    consequence: 'clients inside the cluster do not hear of another authority of tls.internal',
  },
  {
    object: new RegExp(`^${REFRESH}`),
    consequence: 'changed policies and certificates take a minute or two',
  },
  {
    object: new RegExp(`^${LABELS}`),
    consequence: 'the relay does not scale in, and its volumes keep their size',
  },
];

export const extraRefused: Check = ({ obstacles, relay }) => {
  for (const obstacle of obstacles) {
    const extra = findExtra(obstacle, relay);
    if (!extra) continue;
    const { why, cure } = explain(obstacle);
    const { consequence, without } = extra;
    const text = `Mail flows, but ${obstacle.object} is not as it should be (${why}), and ${consequence}`;
    return is('False', 'ExtraRefused', `${text}: ${cure}${without ? `, or set ${without}` : ''}`);
  }
  return undefined;
};

/** True if the object is needed, so that its failure makes the relay fail. */
export function isNeeded(obstacle: Obstacle, relay: MailRelay): boolean {
  return findExtra(obstacle, relay) === undefined;
}

function findExtra(obstacle: Obstacle, relay: MailRelay): Extra | undefined {
  const extra = EXTRAS.find(({ object }) => object.test(obstacle.object));
  return extra?.isNeeded?.(relay) ? undefined : extra;
}

function explain(obstacle: Obstacle): { why: string; cure: string } {
  switch (obstacle.kind) {
    case 'nameTaken':
      return { why: 'one of that name belongs to someone else', cure: 'rename or remove that one' };
    case 'otherInstallation': {
      const { installation } = obstacle;
      return { why: `the installation ${installation} made it`, cure: 'remove it, if nobody else needs it' };
    }
    case 'going':
      return { why: 'it is being deleted, and then made anew', cure: 'if it stays, look for finalizers' };
    case 'denied':
      return { why: quoted(obstacle.message), cure: REFUSED };
    case 'failed':
      return { why: quoted(obstacle.error.message), cure: REFUSED };
    // No such object has a turn, a volume or a Secret.
    case 'waitsForTurn':
    case 'shrinks':
    case 'secretTaken':
      return { why: 'it was not written', cure: REFUSED };
  }
}

const REFUSED = 'correct what refuses it';
