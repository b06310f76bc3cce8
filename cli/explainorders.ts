/**
 * The policy to explain, with the Secrets and ConfigMaps that it names: of a manifest, or of the pod that the command
 * runs in.
 */
import { effectivePolicy } from '#crds/effective.ts';
import { type Policy, parsePolicy } from '#crds/policyfile.ts';
import { listNames, listReferences, type Reference } from '#crds/references.ts';
import { POD_PATHS } from '#crds/wellknown.ts';
import { readInputs } from '#relay/supervisor/inputs.ts';
import { readManifests } from './documents.ts';
import { UsageError } from './usage.ts';

type Files = Readonly<Record<string, string>>;

interface Orders {
  readonly policy: Policy;
  readonly materials: {
    readonly secrets: Readonly<Record<string, Files>>;
    readonly configMaps: Readonly<Record<string, Files>>;
  };
}

/** Without a file: those of the pod. */
export async function readOrders(file: string | undefined): Promise<Orders> {
  return file === undefined ? readOrdersOfPod() : await readOrdersOfManifest(file);
}

async function readOrdersOfManifest(file: string): Promise<Orders> {
  const manifests = await readManifests(file);
  const policy = effectivePolicy(manifests.relay, manifests.relay.spec);
  const references = listReferences(policy);
  const read = (kind: Reference['kind'], from: (name: string) => Files | undefined) =>
    Object.fromEntries(listNames(references, kind).map((name) => [name, from(name) ?? {}]));
  const { secret, configMap } = manifests;
  return { policy, materials: { secrets: read('Secret', secret), configMaps: read('ConfigMap', configMap) } };
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
  return { policy: parsed.policy, materials: inputs.materials };
}
