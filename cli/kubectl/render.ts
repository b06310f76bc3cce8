/** `kubectl mailrelay render`: the objects that the operator makes of a manifest. Asks no cluster. */
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { API_VERSION, KIND } from '#crds/wellknown.ts';
import { type Rendered, renderAll } from '#operator/render/index.ts';
import { readManifests } from '../documents.ts';
import { formatYaml, print } from '../output.ts';
import { type Globals, inNamespace } from './globals.ts';

/** Only a cluster knows these. */
const SETTINGS = {
  relayImage: 'RELAY_IMAGE',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [],
  userIDs: 'Fixed',
  operatorNamespace: 'mailrelay-system',
} as const;
const NO_UID = '00000000-0000-0000-0000-000000000000';

export function renderRelay(
  { name, namespace }: { name: string; namespace: string },
  spec: MailRelay['spec'],
): Rendered[] {
  const relay: MailRelay = {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name, namespace, uid: NO_UID, generation: 1 },
    spec,
  };
  return renderAll(relay, effectivePolicy(relay.metadata, spec), SETTINGS);
}

/** As with kubectl, the namespace of the manifest counts, and -n may not name another one. In JSON it is one List. */
export async function renderFile(file: string, globals: Globals): Promise<number> {
  const { name, namespace, namesNamespace, spec } = (await readManifests(file)).relay;
  const chosen = inNamespace(globals, namesNamespace ? namespace : undefined).namespace ?? namespace;
  const objects = renderRelay({ name, namespace: chosen }, spec);
  const texts = await Promise.all(objects.map(formatYaml));
  const form = globals.output === 'json' ? 'json' : 'text';
  await print(form, { apiVersion: 'v1', kind: 'List', items: objects }, () => texts.join('---\n'));
  return 0;
}
