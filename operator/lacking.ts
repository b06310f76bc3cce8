/**
 * Reads by name what a step is judged by that cannot be taken back, where the caches lack it: its label is away, only its
 * metadata are kept, or its kind may not be watched any more. Its absence would look as if it had never been there: an authority
 * that a pod serves would be withdrawn, the note of a key be written anew. What is not watched may be another by now, or gone, and
 * each write to it would be a conflict, without end. An object that could not be read is left as it is in this look, and no such
 * step is taken (judge/allseen.ts). While the caches have all, nothing is read, and nothing for a relay that is paused or whose spec
 * has faults: nothing is written for it. Claims are looked for by labels.ts.
 */
import { effectiveDns } from '#crds/effectivedns.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { caught, read, recall, type Writer } from './attempt.ts';
import type { Caches } from './caches.ts';
import { isOwnedBy } from './compare.ts';
import { listFaults, NOTHING_LACKING } from './gather.ts';
import { isPaused } from './installation.ts';
import type { KeptObject, KubeObject } from './kube/client.ts';
import { apiPath, CONFIG_MAP, DNS_ENDPOINT, type Kind, STATEFUL_SET } from './kube/kinds.ts';
import { isKnown } from './kube/partial.ts';
import { objectNames } from './render/metadata.ts';
import type { Lacking, Obstacle } from './world.ts';

/** What the caches know of kinds, and have of one relay. */
type Known = Pick<Caches, 'objectsOf' | 'knows' | 'listUnlisted'>;

export async function readLacking(reader: Writer, relay: MailRelay, caches: Known): Promise<Lacking> {
  if (isPaused(relay) || listFaults(relay).length > 0) return NOTHING_LACKING;
  const key = `${relay.metadata.namespace}/${relay.metadata.name}`;
  const [objects, { readByName }] = [caches.objectsOf(key), caches.listUnlisted(key)];
  const [found, gone, unread]: [KubeObject[], string[], Obstacle[]] = [[], [], []];
  for (const [kind, name] of listJudged(relay)) {
    const object = `${kind.kind}/${name}`;
    const cached = objects.get(object);
    const isReadByName = readByName.some((one) => one.kind === kind.kind);
    if ((cached && isKnown(cached) && !isReadByName) || !caches.knows(kind)) {
      reader.paces?.unlearn(object);
      continue;
    }
    const path = apiPath(kind, relay.metadata.namespace, name);
    const look = async () => {
      const live = await read(reader, path);
      return live && counts(kind, live, relay) ? { ...live, kind: kind.kind } : undefined;
    };
    const basis = [relay.metadata.uid, ...listVersions(kind, objects)];
    const refused = await caught(object, async () => {
      const live = await (isAlwaysWritten(relay, name, kind) ? recall(reader, object, basis, look) : look());
      if (live) found.push(live);
      else if (isReadByName) gone.push(object);
    });
    unread.push(...refused.map((one) => ({ ...one, isReading: true as const })));
  }
  return { found, gone, unread };
}

/**
 * An absence of these is remembered. Of the others nothing is written as long as there is nothing to tell, so somebody may
 * restore one meanwhile.
 */
function isAlwaysWritten({ metadata }: MailRelay, name: string, kind: Kind): boolean {
  return kind === STATEFUL_SET || name === objectNames.policy(metadata.name);
}

/** An object that becomes visible, is hidden or goes changes them. */
function listVersions(kind: Kind, objects: ReadonlyMap<string, KeptObject>): string[] {
  return [...objects.values()]
    .filter((object) => object.kind === kind.kind)
    .map(({ metadata }) => `${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`)
    .toSorted();
}

/** Another StatefulSet of the name counts too: while it is there, no pod is of the relay. */
function counts(kind: Kind, live: KubeObject, relay: MailRelay): boolean {
  return kind === STATEFUL_SET || isOwnedBy(live, relay);
}

function listJudged({ metadata: { name }, spec }: MailRelay): (readonly [Kind, string])[] {
  return [
    [STATEFUL_SET, name],
    [CONFIG_MAP, objectNames.policy(name)],
    ...(spec.tls?.internal ? [[CONFIG_MAP, objectNames.authority(name)] as const] : []),
    ...(effectiveDns(spec).endpointTypes.length > 0 ? [[DNS_ENDPOINT, name] as const] : []),
  ];
}
