/** The last lines of a program's log: a failure that comes once in a hundred runs cannot be understood without them. */
const LINES = 60;

interface LivingRelay {
  readonly stdout: string;
  readonly stderr: string;
  kill9(): Promise<void>;
  remove(): Promise<void>;
}

/** Tells a story of a relay, and ends the relay. A story that fails prints the last lines of the relay. */
export async function tellAndEnd(relay: LivingRelay, story: () => Promise<void>): Promise<void> {
  try {
    await story();
  } catch (error) {
    printLog('the relay', relay.stdout + relay.stderr);
    throw error;
  } finally {
    await relay.kill9();
    await relay.remove();
  }
}

export function printLog(program: string, log: string): void {
  process.stderr.write(`The last lines of ${program}:\n${log.split('\n').slice(-LINES).join('\n')}\n`);
}
