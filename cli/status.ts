/**
 * `mailrelay status`: prints the status of a relay, as text or as JSON. The exit status is 0 if the relay is ready, and
 * 1 if it is not ready or does not answer.
 */
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { print } from './output.ts';
import { describeStatus } from './statustext.ts';
import { paintNames } from './styles.ts';
import type { Format } from './verb.ts';

interface StatusOptions {
  readonly address: string;
  readonly adminPort: number;
  readonly output: Format;
}

const WAIT_MS = 10_000;

export async function status({ address, adminPort, output }: StatusOptions): Promise<number> {
  const found = await ask(address, adminPort);
  await print(output, found, () => paintNames(describeStatus(found, Date.now())));
  return found.ready ? 0 : 1;
}

async function ask(address: string, port: number): Promise<PodStatus> {
  const host = address.includes(':') ? `[${address}]` : address;
  const text = await get(`http://${host}:${port}/status`);
  const found = text === undefined ? undefined : parsePodStatus(text);
  if (found) return found;
  throw new Error(
    text === undefined
      ? `No relay answers at ${address} port ${port}: name its health port by --admin-port`
      : `What answers at ${address} port ${port} is no relay of this version: name its health port by --admin-port`,
  );
}

async function get(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) });
    return await response.text();
  } catch {
    // A refused, reset or silent connection, or one without HTTP: the caller reports that no relay answers.
    return undefined;
  }
}
