/**
 * The policy to explain, with the Secrets and ConfigMaps that it names: of a manifest, or of the pod that the command
 * runs in.
 */
import { readFileSync } from 'node:fs';
import { effectivePolicy } from '#crds/effective.ts';
import { type Policy, parsePolicy } from '#crds/policyfile.ts';
import { listNames, listReferences, nameTable, type Reference, tableReferences } from '#crds/references.ts';
import { POD_PATHS } from '#crds/wellknown.ts';
import { readInputs } from '#relay/supervisor/inputs.ts';
import { decodeFile, readManifests } from './documents.ts';
import { UsageError } from './usage.ts';

type Files = Readonly<Record<string, string>>;

export interface Orders {
  readonly policy: Policy;
  readonly materials: {
    readonly secrets: Readonly<Record<string, Files>>;
    readonly configMaps: Readonly<Record<string, Files>>;
  };
  /** By `nameTable`. One that is missing is not there, or cannot be read. */
  readonly tableTexts: Files;
  /** What `addresses` names and the documents lack: it may be in the cluster. All that a pod has is mounted. */
  readonly unseen: readonly Unseen[];
}

export type Unseen = Pick<Reference, 'kind' | 'name'>;

/** Without a file: those of the pod. */
export async function readOrders(file: string | undefined): Promise<Orders> {
  return file === undefined ? readOrdersOfPod() : await readOrdersOfManifest(file);
}

async function readOrdersOfManifest(file: string): Promise<Orders> {
  const { relay, secret, configMap } = await readManifests(file);
  const policy = effectivePolicy(relay, relay.spec);
  const references = listReferences(policy);
  const read = (kind: Reference['kind'], from: (name: string) => Files | undefined) =>
    Object.fromEntries(listNames(references, kind).map((name) => [name, from(name) ?? {}]));
  const materials = { secrets: read('Secret', secret), configMaps: read('ConfigMap', configMap) };
  const tableTexts = tableReferences(policy).flatMap((table) => {
    const { secrets, configMaps } = materials;
    const text = (table.kind === 'Secret' ? secrets : configMaps)[table.name]?.[table.key];
    return text === undefined ? [] : [[nameTable(table), text] as const];
  });
  const isUnseen = ({ kind, name, field }: Reference) =>
    field.startsWith('addresses.') && !(kind === 'Secret' ? secret : configMap)(name);
  const unseen = references.filter(isUnseen).map(({ kind, name }) => ({ kind, name }));
  return { policy, materials, tableTexts: Object.fromEntries(tableTexts), unseen };
}

function readOrdersOfPod(): Orders {
  const { policy: policyDir, certificate, secrets, configMaps } = POD_PATHS;
  const inputs = readInputs({
    policyDir,
    certificateDir: certificate,
    secretsDir: secrets,
    configMapsDir: configMaps,
  });
  if (inputs.policy === undefined)
    throw new UsageError(
      `Name the manifest: mailrelay explain ADDRESS -f FILE (only in a pod of a relay is there a policy in ${policyDir})`,
    );
  const parsed = parsePolicy(inputs.policy);
  if (parsed.kind === 'invalid')
    throw new Error(`The policy in ${policyDir} cannot be read: ${parsed.message}`);
  const tableTexts = Object.entries(inputs.tables).flatMap(([name, { path }]) => readTableText(name, path));
  return {
    policy: parsed.policy,
    materials: inputs.materials,
    tableTexts: Object.fromEntries(tableTexts),
    unseen: [],
  };
}

function readTableText(name: string, path: string): (readonly [string, string])[] {
  try {
    return [[name, decodeFile(readFileSync(path))]];
  } catch {
    return [];
  }
}
