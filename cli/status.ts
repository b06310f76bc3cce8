/**
 * `mailrelay status`: prints the status of a relay, as text or as JSON; or its metrics. The exit status is 0 if the relay is ready, and
 * 1 if it is not ready or does not answer.
 */
import { parsePodStatus } from '#crds/podstatus.ts';
import { print } from './output.ts';
import { describeStatus } from './statustext.ts';
import { paintNames } from './styles.ts';
import { showEndpoint } from './terminal.ts';
import type { Format } from './verb.ts';

interface StatusOptions {
  readonly address: string;
  readonly adminPort: number;
  readonly output: Format;
  readonly metrics?: boolean;
}

const WAIT_MS = 10_000;

export async function status({ address, adminPort, output, metrics }: StatusOptions): Promise<number> {
  if (metrics) {
    process.stdout.write(await ask(address, adminPort, '/metrics'));
    return 0;
  }
  const found = parsePodStatus(await ask(address, adminPort, '/status'));
  if (!found)
    throw new Error(
      `What answers at ${address} port ${adminPort} is no relay of this version: name its health port by --admin-port`,
    );
  await print(output, found, () => paintNames(describeStatus(found, Date.now())));
  return found.ready ? 0 : 1;
}

async function ask(address: string, port: number, path: string): Promise<string> {
  try {
    const url = `http://${showEndpoint(address, port)}${path}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) });
    return await response.text();
  } catch {
    // A refused, reset or silent connection, or one without HTTP.
    throw new Error(`No relay answers at ${address} port ${port}: name its health port by --admin-port`);
  }
}
