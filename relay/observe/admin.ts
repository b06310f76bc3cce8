/**
 * Health, status and metrics over plain HTTP, for kubelet, operator and Prometheus. `/status?since=REVISION` waits for
 * a newer revision, one minute at most. It shows no secret and accepts only GET. `/sessions` names logins, so it answers only
 * to its own machine, and those who ask at one time share an answer.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { type PodStatus, printPodStatus } from '#crds/podstatus.ts';
import type { OpenSessions } from '#crds/sessions.ts';
import { describeSystemError } from '#crds/systemwords.ts';
import { bind } from '../task/bind.ts';

const POLL_MS = 60_000;
const FORWARDING = ['forwarded', 'x-forwarded-for', 'via', 'l5d-client-id'];

export interface AdminSource {
  readonly status: () => PodStatus;
  readonly metrics: () => Promise<string>;
  readonly sessions: () => Promise<OpenSessions>;
  readonly differsFrom: (since: string, waitMs: number) => Promise<void>;
}

export interface AdminServer {
  readonly bound: { address: string; port: number };
  close(): Promise<void>;
}

/** Rejects with one sentence if the port cannot be opened. */
export async function startAdmin(address: string, port: number, source: AdminSource): Promise<AdminServer> {
  let collected: Promise<OpenSessions> | undefined;
  const sessions = () => {
    collected ??= source.sessions().finally(() => {
      collected = undefined;
    });
    return collected;
  };
  const server = createServer((request, response) => {
    answer({ ...source, sessions }, request, response).catch(() => response.writeHead(500).end());
  });
  try {
    await bind(server, port, address);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const cure = code === 'EADDRINUSE' ? '; stop what uses it, or choose another port by --admin-port' : '';
    const why = `${describeSystemError(error)}${cure}`;
    throw new Error(`Cannot serve health and metrics at ${address} port ${port}: ${why}`, { cause: error });
  }
  const bound = server.address() as AddressInfo;
  return {
    bound: { address: bound.address, port: bound.port },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  source: AdminSource,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://relay');
  if (request.method !== 'GET') return send(response, 405, 'text/plain', 'only GET\n');
  switch (pathname) {
    case '/healthz':
      return send(response, 200, 'text/plain', 'ok\n');
    case '/readyz': {
      const { ready, notReady } = source.status();
      return send(response, ready ? 200 : 503, 'text/plain', `${ready ? 'ok' : notReady.join('\n')}\n`);
    }
    case '/status': {
      const since = searchParams.get('since');
      if (since !== null) await source.differsFrom(since, POLL_MS);
      return send(response, 200, 'application/json', printPodStatus(source.status()));
    }
    case '/metrics':
      return send(response, 200, 'text/plain; version=0.0.4', await source.metrics());
    case '/sessions':
      if (!isOfThisMachine(request) || !isMeantForIt(request))
        return send(response, 403, 'text/plain', 'ask in the pod itself\n');
      return send(response, 200, 'application/json', `${JSON.stringify(await source.sessions())}\n`);
    default:
      return send(response, 404, 'text/plain', 'try /healthz, /readyz, /status, /metrics or /sessions\n');
  }
}

/** The sidecar of a mesh passes the connections of others on from other addresses of 127.0.0.0/8. */
function isOfThisMachine({ socket: { remoteAddress, localAddress } }: IncomingMessage): boolean {
  const from = remoteAddress?.replace(/^::ffff:/, '');
  return from === '127.0.0.1' || from === '::1' || (from !== undefined && remoteAddress === localAddress);
}

/**
 * A proxy of a pod says whom it passes on. A page in a browser on this machine may have a name that leads here, and its requests
 * have that name as their Host.
 */
function isMeantForIt({ headers }: IncomingMessage): boolean {
  if (FORWARDING.some((name) => headers[name] !== undefined)) return false;
  const host = (headers.host ?? '').replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return host.toLowerCase() === 'localhost' || isIP(host) !== 0;
}

function send(response: ServerResponse, code: number, type: string, body: string): void {
  response.writeHead(code, { 'content-type': type }).end(body);
}
