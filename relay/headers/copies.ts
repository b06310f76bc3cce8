/** Copies to recipients whom the sender does not know. The sender gets no DSN about them. Pure. */
import type { Addressee } from './steps.ts';

/** A recipient that is there already gets no second copy. */
export function addBcc(to: readonly Addressee[], bcc: string): readonly Addressee[] {
  return to.some(({ address }) => address === bcc) ? to : [...to, { address: bcc, notify: ['NEVER'] }];
}
