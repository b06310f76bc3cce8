/**
 * Checks that several conditions use. A check looks at the world and returns a finding or nothing. chain.ts lists every
 * check with a short remark, in the order of precedence. Pure and total.
 */

import { hashContent } from '#crds/policyfile.ts';
import { selectorLabels } from '#crds/wellknown.ts';
import { CLAIM } from '../kube/kinds.ts';
import type { PodView, World } from '../world.ts';
import { type Check, is } from './finding.ts';
import { findCure } from './kubecures.ts';
import { counted, countedAmong, listed, onEvery, quoted, verb } from './words.ts';

export const specInvalid: Check = ({ faults }) => {
  const [fault] = faults;
  return fault && is('True', 'SpecInvalid', `${fault.path}: ${fault.message}`);
};

export const nameTaken: Check = ({ obstacles, relay }) => {
  const found = obstacles.filter(({ kind }) => kind === 'nameTaken').map(({ object }) => object);
  const taken = [...new Set(found)];
  if (taken.length === 0) return undefined;
  const [belong, bear, them] = taken.length === 1 ? ['belongs', 'bears', 'it'] : ['belong', 'bear', 'them'];
  // Whose it is nobody knows. Its data is not ours to have removed.
  if (taken.every((object) => object.startsWith(`${CLAIM.kind}/`))) {
    const text = `${listed(taken)} ${bear} no label of this relay, and may belong to someone else`;
    return is('True', 'NameTaken', `${text}: ${cureOfClaims(relay.metadata.name)}`);
  }
  const text = `${listed(taken)} ${belong} to someone else`;
  return is('True', 'NameTaken', `${text}: rename or remove ${them}, or rename this MailRelay`);
};

function cureOfClaims(relay: string): string {
  const labels = Object.entries(selectorLabels(relay)).map(([name, value]) => `${name}=${value}`);
  return `rename this MailRelay, or, if it is a queue of this relay, label it ${labels.join(' ')}`;
}

/** Two Certificates would fill the same Secret and overwrite each other. */
export const secretTaken: Check = ({ obstacles }) => {
  const found = obstacles.find((obstacle) => obstacle.kind === 'secretTaken');
  if (!found) return undefined;
  const text = `${found.object} is filled for ${found.by} already`;
  return is(
    'True',
    'NameTaken',
    `${text}: set another secretName in tls, tls.internal, tls.certificates or dns.mtaSTS.serve`,
  );
};

const whatOf = ({ object, isReading }: { readonly object: string; readonly isReading?: true }) =>
  isReading ? `the reading of ${object}, which stays as it is` : object;

export const denied: Check = ({ obstacles }) => {
  const refused = obstacles.find((obstacle) => obstacle.kind === 'denied');
  if (!refused) return undefined;
  const { message, isReading } = refused;
  const cure =
    findCure(message) ?? (isReading ? 'let the operator read it' : 'correct the field that it names');
  return is('True', 'Denied', `The API server refuses ${whatOf(refused)}: ${quoted(message)}: ${cure}`);
};

export const writeFailed: Check = ({ obstacles }) => {
  const failed = obstacles.find((obstacle) => obstacle.kind === 'failed');
  if (!failed) return undefined;
  const text = `The API server fails at ${whatOf(failed)}, which is tried again`;
  const cure = findCure(failed.error.message) ?? 'see the log of the API server if it goes on';
  return is('True', 'WriteFailed', `${text}: ${quoted(failed.error.message)}: ${cure}`);
};

export const policyPending: Check = (world) => {
  const wanted = world.policy && hashContent(world.policy);
  const serving = podsWithPolicy(world).length;
  const { replicas } = world.relay.spec;
  if (wanted === undefined) return is('False', 'PolicyPending', 'The spec gives no policy');
  if (serving >= replicas) return undefined;
  return is(
    'False',
    'PolicyPending',
    `Policy ${wanted} is in force on ${countedAmong(serving, replicas, 'pod')}`,
  );
};

export const policyInForce: Check = ({ pods, policy, relay }) => {
  const { replicas } = relay.spec;
  const gaps = new Set(pods.flatMap(({ report }) => report?.notInForce ?? [])).size;
  const rest = `; ${counted(gaps, 'field')} ${verb(gaps, 'is', 'are')} not in force yet, see status.notInForce`;
  return is(
    'True',
    'PolicyInForce',
    `Policy ${policy && hashContent(policy)} is in force ${onEvery(replicas, 'pod')}${gaps > 0 ? rest : ''}`,
  );
};

/** Ready also waits for the wanted policy, because Ready means that mail flows as the spec says. */
export const policyNotYet: Check = (world) => policyPending(world);

/** Pods that have the wanted policy in force for every new session. */
export function podsWithPolicy({ policy, pods }: World): PodView[] {
  const wanted = policy && hashContent(policy);
  return pods.filter(({ report }) => report !== undefined && report.policy.hash === wanted);
}
