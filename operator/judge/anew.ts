/**
 * The checks of objects that are being deleted and are then created again: objects of an earlier MailRelay of the name,
 * objects that somebody deleted, and the StatefulSet whose claims grow, which cannot be changed in place. Also the
 * check of objects of another operator. Pure.
 */
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { type Check, is } from './finding.ts';

export const makingAnew: Check = ({ obstacles }) => {
  const going = obstacles.filter(({ kind }) => kind === 'going').map(({ object }) => object);
  if (going.length === 0) return undefined;
  const [goes, it] = going.length === 1 ? ['goes', 'it'] : ['go', 'they'];
  const cure = `where ${it} ${goes === 'goes' ? 'does' : 'do'} not, look for finalizers`;
  return is('True', 'MakingAnew', `Made anew as soon as ${it} ${goes}: ${going.join(', ')}; ${cure}`);
};

/** Pods may run on without their StatefulSet, but nothing replaces a pod that ends. */
export const withoutStatefulSet: Check = ({ relay, objects, obstacles }) => {
  const name = `StatefulSet/${relay.metadata.name}`;
  const isGoing = obstacles.some(({ kind, object }) => kind === 'going' && object === name);
  if (objects.has(name) && !isGoing) return undefined;
  return is('False', 'MakingAnew', `${name} is being made, and pods that run serve on meanwhile`);
};

/** An object of our name has no owner and carries the stamp of another operator. */
export const otherInstallation: Check = ({ obstacles }) => {
  const found = obstacles.find(({ kind }) => kind === 'otherInstallation');
  if (found?.kind !== 'otherInstallation') return undefined;
  const { object, installation } = found;
  const cure = `remove it, or annotate this MailRelay with ${ANNOTATIONS.installation}=${installation}`;
  return is('True', 'OtherInstallation', `${object} was made by the installation ${installation}: ${cure}`);
};
