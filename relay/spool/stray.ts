/**
 * When a commit fails, lmdb 3.5.6 rejects the promises of its callers, and one more that it made for itself and gave to
 * nobody. Node would end the process for it, in the middle of sessions that only need a 451. This lets that one pass,
 * and nothing else.
 */
const STRAY = 'Commit failed (see commitError for details)';

/** For the entry of a process that writes to the spool. */
export function ignoreStrayRejections(): void {
  process.on('unhandledRejection', (reason) => {
    if ((reason as { message?: string }).message !== STRAY) throw reason;
  });
}
