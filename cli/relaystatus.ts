/** Asks a running relay for its status, over HTTP. Every failure is one sentence that names the cure. */
import { printEndpoint } from '#crds/networks.ts';
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { type OpenSessions, parseOpenSessions } from '#crds/sessions.ts';
import { ADMIN_PORT, POD_PATHS } from '#crds/wellknown.ts';
import { readRunNote } from './runnote.ts';
import { assertOfRelay, findStateFolder, stateFolder } from './statefolder.ts';

/** Where a relay serves health and status. */
export interface AdminEndpoint {
  readonly address: string;
  readonly adminPort: number;
}

/** What a person says of it. */
export interface NamedEndpoint {
  readonly address?: string | undefined;
  readonly adminPort?: number | undefined;
  readonly state?: string | undefined;
}

/** A URL leaves it out. */
const HTTP_PORT = 80;
const WAIT_MS = 10_000;

/** Without a name: that of the pod, or of the relay below .state, which is found as the queue tools find it. */
export function findEndpoint({ address, adminPort, state }: NamedEndpoint): AdminEndpoint {
  const usual = { address: address ?? '127.0.0.1', adminPort: adminPort ?? ADMIN_PORT };
  if (address !== undefined || adminPort !== undefined) return usual;
  const folder = state === undefined ? findStateFolder() : stateFolder(state);
  if (folder === undefined || folder === POD_PATHS.state) return usual;
  assertOfRelay(folder);
  const { hostname, port } = new URL(readRunNote(folder).adminUrl);
  return { address: hostname.replace(/^\[|\]$/g, ''), adminPort: Number(port || HTTP_PORT) };
}

export async function askStatus(endpoint: AdminEndpoint): Promise<PodStatus> {
  const found = parsePodStatus(await askRelay(endpoint, '/status'));
  if (found) return found;
  throw notOurs(endpoint);
}

export async function askSessions(endpoint: AdminEndpoint): Promise<OpenSessions> {
  const found = parseOpenSessions(await askRelay(endpoint, '/sessions'));
  if (found) return found;
  throw notOurs(endpoint);
}

/** As Prometheus reads them. */
export async function askMetrics(endpoint: AdminEndpoint): Promise<string> {
  const text = await askRelay(endpoint, '/metrics');
  if (/^mailrelay_/m.test(text)) return text;
  throw notOurs(endpoint);
}

function notOurs({ address, adminPort }: AdminEndpoint): Error {
  return new Error(
    `What answers at ${address} port ${adminPort} is no relay of this version: name its health port by --admin-port`,
  );
}

async function askRelay({ address, adminPort }: AdminEndpoint, path: string): Promise<string> {
  try {
    const url = `http://${printEndpoint(address, adminPort)}${path}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) });
    return await response.text();
  } catch {
    // A refused, reset or silent connection, or one without HTTP.
    throw new Error(
      `No relay answers at ${address} port ${adminPort}: name its state folder by --state DIR, or its health port by --admin-port PORT`,
    );
  }
}
