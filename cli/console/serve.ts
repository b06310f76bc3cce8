/** `mailrelay console`: serves the console of the relay on this machine until Ctrl-C. */
import { untilStopSignal } from '../signals.ts';
import { assertOfRelay, stateFolder } from '../statefolder.ts';
import { LocalRelay } from './localrelay.ts';
import type { Relays } from './relays.ts';
import { startConsole } from './server.ts';

export interface ConsoleOptions {
  readonly port?: number;
  readonly allowChanges?: boolean;
}

export async function serveConsole({
  state,
  ...options
}: ConsoleOptions & { readonly state?: string }): Promise<number> {
  const folder = stateFolder(state);
  assertOfRelay(folder);
  return serveRelays(new LocalRelay(folder), options);
}

/** Resolves when the person presses Ctrl-C. */
export async function serveRelays(
  relays: Relays,
  { port = 0, allowChanges }: ConsoleOptions,
): Promise<number> {
  const { url, close } = await startConsole(relays, { port, allowsChanges: allowChanges === true });
  const power = allowChanges ? 'It may change the queue' : 'It changes nothing without --allow-changes';
  process.stdout.write(
    `Open this address in a browser on this machine. It works once:\n  ${url}\n${power}. Ctrl-C ends it.\n`,
  );
  await untilStopSignal();
  close();
  return 0;
}
