/**
 * A short read of the queue by the supervisor, which does not use the queue otherwise. Undefined if it cannot be read now.
 * One at a time: where a store must be recovered, a read waits until the store is open nowhere, and the supervisor would
 * wait for itself.
 */
import type { Log } from '../observe/log.ts';
import { Spool } from '../spool/spool.ts';

/** A close takes a sync. */
let isClosing = false;

export function peekQueue<T>(stateDir: string, log: Log, look: (spool: Spool) => T): T | undefined {
  const told = (error: Error) => log('queue_not_read', { message: error.message });
  if (isClosing) return undefined;
  try {
    const spool = new Spool(stateDir);
    try {
      return look(spool);
    } finally {
      isClosing = true;
      void spool
        .close()
        .catch(told)
        .finally(() => {
          isClosing = false;
        });
    }
  } catch (error) {
    told(error as Error);
    return undefined;
  }
}
