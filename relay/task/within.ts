/** Waits for a promise as long as a signal has not ended. Undefined if the signal ended first. */
export async function within<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | undefined> {
  const { promise: ended, resolve } = Promise.withResolvers<undefined>();
  const end = () => resolve(undefined);
  // A signal that has ended tells nobody any more.
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  return Promise.race([promise, ended]).finally(() => signal.removeEventListener('abort', end));
}
