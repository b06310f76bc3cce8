/**
 * A short read of the queue by the supervisor, which does not use the queue otherwise. Undefined if it cannot be read.
 */
import type { Log } from '../observe/log.ts';
import { Spool } from '../spool/spool.ts';

export function peekQueue<T>(stateDir: string, log: Log, look: (spool: Spool) => T): T | undefined {
  const told = (error: Error) => log('queue_not_read', { message: error.message });
  try {
    const spool = new Spool(stateDir);
    const seen = look(spool);
    spool.close().catch(told);
    return seen;
  } catch (error) {
    told(error as Error);
    return undefined;
  }
}
