/**
 * The end of a process that has the queue and cannot recover its store. Another process may: its replacement loads the whole store
 * anew.
 */
interface Store {
  /** Why the store has been broken for long. */
  lastingFault(): string | undefined;
}

type Log = (event: 'spool_broken', fields: { readonly message: string }) => void;

/** To be called again and again. */
export function endIfBroken(store: Store, log: Log): void {
  const fault = store.lastingFault();
  if (fault === undefined) return;
  log('spool_broken', { message: fault });
  process.exit(1);
}
