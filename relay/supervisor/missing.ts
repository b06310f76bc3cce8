/**
 * Finds the Secrets and ConfigMaps of a policy that are missing, that lack a file which their field needs, or whose
 * users cannot be read, or whose DKIM key cannot sign. Each gives one sentence that also says what does not work meanwhile. Of the contents only names
 * of users are quoted. Pure.
 */
import { cutText } from '#crds/cut.ts';
import { oneLine } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import { type DkimKeyVerdict, judgeDkimKey } from '#crds/publickeys.ts';
import {
  describeTableFault,
  eventsReferences,
  inboundReferences,
  listNames,
  listReferences,
  nameTable,
  outboundReferences,
  type Reference,
  tableReferences,
} from '#crds/references.ts';
import { readUsers } from '../auth/users.ts';
import type { Files, Materials } from '../task/materials.ts';

const DKIM_FIELD = /dkim\[\d+\]\.secretName$/;

/** Files that a Secret must have, chosen by the end of its field name. One file of each list is enough. */
const NEEDED: readonly { readonly field: RegExp; readonly keys: readonly (readonly string[])[] }[] = [
  { field: /clientCertificateSecretName$/, keys: [['tls.crt'], ['tls.key']] },
  {
    field: /hosts\[\d+\]\.credentialsSecretName$|smartHosts\[\d+\]\.credentialsSecretName$/,
    keys: [['username'], ['password', 'token', 'clientId', 'serviceAccountKey']],
  },
  { field: /socksProxy\.credentialsSecretName$/, keys: [['username'], ['password']] },
  { field: DKIM_FIELD, keys: [['private.key']] },
  { field: /webhook\.secretName$/, keys: [['secret']] },
  { field: /filter\.secretName$/, keys: [['password']] },
  { field: /srs\.secretName$/, keys: [['key']] },
  { field: /keysConfigMapName$/, keys: [['jwks.json']] },
];

const USERS_FIELD = /clients\.credentialsSecretName$/;
const NAME_LENGTH = 64;

/** One sentence for each field whose object is missing or incomplete. */
export function listMissing(policy: Policy, materials: Materials): string[] {
  return [...listMissingTexts(policy, materials), ...listMissingTables(policy, materials)];
}

function listMissingTables(policy: Policy, { tables }: Materials): string[] {
  return tableReferences(policy).flatMap((reference) => {
    const state = tables?.[nameTable(reference)];
    if (!state || state.fault === null) return [];
    const meanwhile = state.path === null ? reference.without : 'the last good table stays in use';
    return [`${describeTableFault(reference, state.fault)}: ${meanwhile}`];
  });
}

function listMissingTexts(policy: Policy, materials: Materials): string[] {
  const references = [
    ...inboundReferences(policy),
    ...outboundReferences(policy),
    ...eventsReferences(policy),
  ];
  return references.flatMap((reference) => {
    const files = findFiles(reference, materials);
    const fault =
      findFault(reference, files) ?? findUserFault(reference, files) ?? findDkimFault(reference, files);
    return fault === undefined ? [] : [`${reference.field}: ${reference.kind} "${reference.name}" ${fault}`];
  });
}

/** True if the policy names an object for which the pod has no folder: the pod is older than the policy. */
export function awaitsMount(policy: Policy, { secrets, configMaps }: Materials): boolean {
  const references = listReferences(policy);
  return (
    listNames(references, 'Secret').some((name) => secrets[name] === undefined) ||
    listNames(references, 'ConfigMap').some((name) => configMaps[name] === undefined)
  );
}

function findFiles({ kind, name }: Reference, { secrets, configMaps }: Materials): Files {
  return (kind === 'Secret' ? secrets[name] : configMaps[name]) ?? {};
}

function findFault({ field, without }: Reference, files: Files): string | undefined {
  if (Object.keys(files).length === 0) return `does not exist or is empty: ${without}`;
  const { keys = [] } = NEEDED.find((needed) => needed.field.test(field)) ?? {};
  const lacking = keys.find((choice) => !choice.some((key) => files[key] !== undefined));
  return lacking && `lacks the key ${lacking.map((key) => `"${key}"`).join(' or ')}: ${without}`;
}

/** By the files, which stay the same object until a mount changes: a status is made often, and users are many. */
const faultyUsers = new WeakMap<Files, readonly string[]>();

function findUserFault({ field }: Reference, files: Files): string | undefined {
  if (!USERS_FIELD.test(field)) return undefined;
  const faults = faultyUsers.get(files) ?? readUsers(files).faults;
  faultyUsers.set(files, faults);
  const [first] = faults;
  if (first === undefined) return undefined;
  const name = cutText(oneLine(first), NAME_LENGTH);
  const others = faults.length > 1 ? ` and ${faults.length - 1} more` : '';
  return `has users that cannot be read (${name}${others}), who cannot log in: write for each the line of "mailrelay hash", and behind it nothing but addresses and domains`;
}

/** By the files, as those of users. */
const judgedKeys = new WeakMap<Files, DkimKeyVerdict>();

/** The queue would tell it only when mail of the domain has waited for long. */
function findDkimFault({ field, without }: Reference, files: Files): string | undefined {
  if (!DKIM_FIELD.test(field)) return undefined;
  const judged = judgedKeys.get(files) ?? judgeDkimKey(files['private.key'] ?? '');
  judgedKeys.set(files, judged);
  if (judged.kind === 'usable') return undefined;
  return `has a private.key that cannot be used, as ${judged.reason}, so that ${without}: write an RSA key of 1024 bits or more, or an Ed25519 key, as PEM without a passphrase`;
}
