/**
 * Which of the Secrets and ConfigMaps that a policy names are not there, or lack what their field needs: a sentence for
 * each, with what does not work meanwhile. Never quotes contents. Pure.
 */
import type { Policy } from '#crds/policyfile.ts';
import {
  inboundReferences,
  namesOf,
  outboundReferences,
  type Reference,
  referencesOf,
} from '#crds/references.ts';
import type { Files, Materials } from '../task/materials.ts';

/** Files that a Secret must have, by the end of the field that names it; of each list one is enough. */
const NEEDED: readonly { readonly field: RegExp; readonly keys: readonly (readonly string[])[] }[] = [
  { field: /clientCertificateSecretName$/, keys: [['tls.crt'], ['tls.key']] },
  {
    field: /hosts\[\d+\]\.credentialsSecretName$|smartHosts\[\d+\]\.credentialsSecretName$/,
    keys: [['username'], ['password', 'token', 'refreshToken']],
  },
  { field: /dkim\[\d+\]\.secretName$/, keys: [['private.key']] },
  { field: /keysConfigMapName$/, keys: [['jwks.json']] },
];

/** One sentence for each field whose object is missing or incomplete. */
export function missingOf(policy: Policy, materials: Materials): string[] {
  return [...inboundReferences(policy), ...outboundReferences(policy)].flatMap((reference) => {
    const files = filesOf(reference, materials);
    const fault = faultOf(reference, files);
    if (fault === undefined) return [];
    return [`${reference.field}: ${reference.kind} "${reference.name}" ${fault}: ${reference.without}`];
  });
}

/** True where the pod has no folder for something that the policy names: it is older than the policy. */
export function awaitsMount(policy: Policy, { secrets, configMaps }: Materials): boolean {
  const references = referencesOf(policy);
  return (
    namesOf(references, 'Secret').some((name) => secrets[name] === undefined) ||
    namesOf(references, 'ConfigMap').some((name) => configMaps[name] === undefined)
  );
}

function filesOf({ kind, name }: Reference, { secrets, configMaps }: Materials): Files {
  return (kind === 'Secret' ? secrets[name] : configMaps[name]) ?? {};
}

function faultOf({ field }: Reference, files: Files): string | undefined {
  if (Object.keys(files).length === 0) return 'does not exist or is empty';
  const { keys = [] } = NEEDED.find((needed) => needed.field.test(field)) ?? {};
  const lacking = keys.find((choice) => !choice.some((key) => files[key] !== undefined));
  return lacking && `lacks the key ${lacking.join(' or ')}`;
}
