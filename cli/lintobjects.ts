/**
 * The faults of the Secrets and ConfigMaps that a MailRelay names and that stand among its documents: values that the API
 * server would refuse, and a warning for each table of addresses that the relay would not take. Pure.
 */
import { certificateSecretName, effectivePolicy } from '#crds/effective.ts';
import { listNames, listReferences } from '#crds/references.ts';
import type { ValidManifest } from '#crds/validate.ts';
import { findObject, type NamedObject } from './objects.ts';
import { describeWrongTable, findTable, judgeTables } from './tables.ts';
import type { Place, YamlDocument } from './yamlfiles.ts';

interface FaultyObject extends Place {
  readonly kind: 'value' | 'warning';
  readonly message: string;
}

export function lintObjects(manifest: ValidManifest, documents: readonly YamlDocument[]): FaultyObject[] {
  const policy = effectivePolicy(manifest, manifest.spec);
  const find = (object: NamedObject) => findObject(documents, object, manifest);
  const references = listReferences(policy);
  const host = certificateSecretName(manifest.name, manifest.spec);
  const secrets = new Set([...(host === undefined ? [] : [host]), ...listNames(references, 'Secret')]);
  const objects: NamedObject[] = [
    ...[...secrets].map((name) => ({ kind: 'Secret' as const, name })),
    ...listNames(references, 'ConfigMap').map((name) => ({ kind: 'ConfigMap' as const, name })),
  ];
  const refused = objects.flatMap((object) => find(object)?.faults ?? []);
  const tables = judgeTables(policy, (reference) => {
    const found = find(reference);
    return found?.faults.length === 0 ? findTable(found.contents, reference.key) : undefined;
  });
  const warnings = tables.flatMap((table) => {
    const place = find(table.reference)?.locate(table.reference.key);
    return place ? describeWrongTable(table).map((message) => ({ ...place, message })) : [];
  });
  return [
    ...refused.map((fault): FaultyObject => ({ ...fault, kind: 'value' })),
    ...warnings.map((warning): FaultyObject => ({ ...warning, kind: 'warning' })),
  ];
}
