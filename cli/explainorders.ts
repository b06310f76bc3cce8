/**
 * The policy to explain, with the Secrets and ConfigMaps that it names: of a manifest, or of the pod that the command
 * runs in.
 */
import { effectivePolicy } from '#crds/effective.ts';
import { type Policy, parsePolicy } from '#crds/policyfile.ts';
import { listNames, listReferences, nameTable, type Reference } from '#crds/references.ts';
import { POD_PATHS } from '#crds/wellknown.ts';
import type { BuiltTable } from '#relay/addresses/buildtable.ts';
import { readInputs } from '#relay/supervisor/inputs.ts';
import { readTableFile } from '#relay/supervisor/tablefiles.ts';
import { readManifests } from './documents.ts';
import type { Contents } from './objects.ts';
import { describeWrongTable, findTable, judgeTables } from './tables.ts';
import { UsageError } from './usage.ts';

type Files = Readonly<Record<string, string>>;

export interface Orders {
  readonly policy: Policy;
  readonly materials: {
    readonly secrets: Readonly<Record<string, Files>>;
    readonly configMaps: Readonly<Record<string, Files>>;
  };
  /** By `nameTable`. One that is missing is not there. */
  readonly tables: Readonly<Record<string, BuiltTable>>;
  /** A sentence for each table that the relay does not take. */
  readonly wrongTables: readonly string[];
  /** What `addresses` names and the documents lack: it may be in the cluster. All that a pod has is mounted. */
  readonly unseen: readonly Unseen[];
}

export type Unseen = Pick<Reference, 'kind' | 'name'>;

/** Without a file: those of the pod. */
export async function readOrders(file: string | undefined): Promise<Orders> {
  return file === undefined ? readOrdersOfPod() : await readOrdersOfManifest(file);
}

async function readOrdersOfManifest(file: string): Promise<Orders> {
  const { relay, find } = await readManifests(file);
  const policy = effectivePolicy(relay, relay.spec);
  const references = listReferences(policy);
  const read = (kind: Reference['kind']) =>
    Object.fromEntries(
      listNames(references, kind).map((name) => [name, printAll(find({ kind, name }) ?? {})]),
    );
  const tables = judgeTables(policy, (reference) => {
    const contents = find(reference);
    return contents && findTable(contents, reference.key);
  });
  const isUnseen = (reference: Reference) => reference.field.startsWith('addresses.') && !find(reference);
  const unseen = references.filter(isUnseen).map(({ kind, name }) => ({ kind, name }));
  return {
    policy,
    materials: { secrets: read('Secret'), configMaps: read('ConfigMap') },
    ...listTables(tables),
    unseen,
  };
}

/** As the relay reads its files, all but the tables. */
function printAll(contents: Contents): Files {
  return Object.fromEntries(Object.entries(contents).map(([key, value]) => [key, value.toString()]));
}

function listTables(tables: ReturnType<typeof judgeTables>): Pick<Orders, 'tables' | 'wrongTables'> {
  return {
    tables: Object.fromEntries(tables.map(({ reference, table }) => [nameTable(reference), table])),
    wrongTables: tables.flatMap(describeWrongTable),
  };
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
  const tables = judgeTables(parsed.policy, (reference) => {
    const file = inputs.tables[nameTable(reference)];
    return file && readTableFile(file);
  });
  return { policy: parsed.policy, materials: inputs.materials, ...listTables(tables), unseen: [] };
}
