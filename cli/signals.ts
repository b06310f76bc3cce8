/**
 * The signals that ask a process to end. Process 1 of a container gets only signals that it listens to, so the command
 * listens from its first line. Until a verb has work to end in order, a signal ends the process at once.
 */

/** By convention of shells, 128 and the number of the signal. */
const STATUS = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof STATUS;

let obey = (signal: StopSignal): void => process.exit(STATUS[signal]);

export function endAtSignals(): void {
  // A listener that takes the place of another one would miss a signal that is on its way.
  for (const signal of Object.keys(STATUS) as StopSignal[]) process.on(signal, () => obey(signal));
}

/** Resolves at the next signal. The one after it ends the process at once, with status 1. */
export function untilStopSignal(): Promise<void> {
  return new Promise((resolve) => {
    obey = () => {
      obey = () => process.exit(1);
      resolve();
    };
  });
}
