/**
 * What the sender wants to be told of recipients that become one (RFC 3461). A wish for one of them is a wish for the
 * result: whoever wants to hear nothing of an alias may still want to hear of another one. Pure.
 */
import type { Addressee } from './envelope.ts';

/** Without NOTIFY (RFC 3461 section 4.1). */
const DEFAULT = ['FAILURE', 'DELAY'];

type Wishes = Pick<Addressee, 'notify' | 'orcpt'>;

/** A report names the first of those whom the sender wants to hear of. */
export function joinWishes(all: readonly Wishes[]): Wishes {
  const wanted = all.filter(({ notify }) => !notify?.includes('NEVER'));
  const [first] = wanted.length > 0 ? wanted : all;
  const orcpt = first?.orcpt === undefined ? {} : { orcpt: first.orcpt };
  if (wanted.length === 0) return { ...orcpt, ...(first?.notify ? { notify: first.notify } : {}) };
  if (wanted.every(({ notify }) => notify === undefined)) return orcpt;
  return { ...orcpt, notify: [...new Set(wanted.flatMap(({ notify = DEFAULT }) => notify))] };
}
