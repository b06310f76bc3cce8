/** Asks a running relay for its status, over HTTP. Every failure is one sentence that names the cure. */
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { showEndpoint } from './terminal.ts';

/** Where a relay serves health and status. */
export interface AdminEndpoint {
  readonly address: string;
  readonly adminPort: number;
}

const WAIT_MS = 10_000;

export async function askStatus(endpoint: AdminEndpoint): Promise<PodStatus> {
  const found = parsePodStatus(await askRelay(endpoint, '/status'));
  if (found) return found;
  const { address, adminPort } = endpoint;
  throw new Error(
    `What answers at ${address} port ${adminPort} is no relay of this version: name its health port by --admin-port`,
  );
}

export async function askRelay({ address, adminPort }: AdminEndpoint, path: string): Promise<string> {
  try {
    const url = `http://${showEndpoint(address, adminPort)}${path}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) });
    return await response.text();
  } catch {
    // A refused, reset or silent connection, or one without HTTP.
    throw new Error(`No relay answers at ${address} port ${adminPort}: name its health port by --admin-port`);
  }
}
