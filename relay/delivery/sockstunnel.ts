/**
 * Connections through a SOCKS5 proxy (RFC 1928, RFC 1929). The proxy gets an address and never a name, because the
 * relay looks names up itself: DANE and the choice of addresses need that. A failure of the proxy is a value, as one of
 * the hop is. Nothing goes past the proxy.
 */
import { connect, type Socket } from 'node:net';
import { SocksClient, type SocksClientOptions } from 'socks';
import { type Failure, makeFailure, oneLine } from '#crds/failure.ts';
import type { SocksProxy } from '#crds/policyfile.ts';
import { type AttemptBudget, OVERDUE } from './budget.ts';
import type { Connecting, ConnectTerms, Opened } from './connect.ts';
import { abortFailure } from './connectfailure.ts';
import type { NextHop } from './courier.ts';
import type { HopCredentials } from './hopcredentials.ts';
import { CONNECT_MS } from './latetimer.ts';

interface TunnelTerms {
  readonly proxy: SocksProxy;
  /** The address of the hop. */
  readonly address: string;
  /** null: the proxy wants no login. */
  readonly login: { readonly user: string; readonly pass: string } | null;
  readonly budget: AttemptBudget;
  readonly trace: ConnectTerms['trace'];
}

type Tunnelling =
  | { readonly kind: 'none' }
  | ({ readonly kind: 'proxy' } & Pick<TunnelTerms, 'proxy' | 'login'>)
  | { readonly kind: 'unusable'; readonly reason: string };

/** How to reach the hop: without a proxy, or through one. */
export function findTunnel({ socksProxy: proxy }: NextHop, logins: HopCredentials): Tunnelling {
  if (proxy === null) return { kind: 'none' };
  if (proxy.credentialsSecret === null) return { kind: 'proxy', proxy, login: null };
  const login = logins.for(proxy.credentialsSecret);
  const secret = `the Secret "${proxy.credentialsSecret}" of the SOCKS proxy`;
  if (login.kind !== 'password')
    return { kind: 'unusable', reason: `${secret} lacks username or password: write both` };
  return fits(login.user) && fits(login.pass)
    ? { kind: 'proxy', proxy, login }
    : { kind: 'unusable', reason: `${secret} has a username or password above ${LONGEST} bytes: shorten it` };
}

/** RFC 1929 has one byte for a length. */
const LONGEST = 255;

function fits(text: string): boolean {
  return Buffer.byteLength(text) <= LONGEST;
}

/** Opens a tunnel, and begins the session in it. */
export function connectThrough(
  hop: NextHop,
  terms: TunnelTerms,
  begin: (socket: Socket) => Connecting,
): Connecting {
  const { proxy, budget, trace } = terms;
  const outer = connect({ host: proxy.host, port: proxy.port });
  const cut = (reason: string): void => {
    outer.destroy(new Error(reason));
  };
  let isAborted = false;
  const forget = budget.whenOver(() => cut(OVERDUE));
  let abort = (reason: string): void => {
    isAborted = true;
    cut(reason);
  };
  const opened = openTunnel(outer, hop, terms).then(
    (socket) => {
      forget();
      const connecting = begin(socket);
      abort = connecting.abort;
      return connecting.opened;
    },
    (error: Error) => {
      forget();
      outer.destroy();
      trace?.ended(oneLine(error.message));
      return failed(
        isAborted ? abortFailure(error, `${hop.host}:${hop.port}`) : proxyFailure(hop, proxy, error),
      );
    },
  );
  return { opened, abort: (reason) => abort(reason) };
}

async function openTunnel(
  outer: Socket,
  { port }: NextHop,
  { proxy, address, login }: TunnelTerms,
): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  outer.on('error', reject);
  outer.setTimeout(CONNECT_MS, () => outer.destroy(new Error('no answer within a minute')));
  outer.once('connect', () => {
    const options: SocksClientOptions = {
      proxy: {
        host: proxy.host,
        port: proxy.port,
        type: 5,
        ...(login ? { userId: login.user, password: login.pass } : {}),
      },
      command: 'connect',
      destination: { host: address, port },
      existing_socket: outer,
      timeout: CONNECT_MS,
    };
    const client = new SocksClient(options);
    client.once('error', reject);
    client.once('established', () => keepEarly(outer, () => resolve(outer)));
    client.connect(outer);
  });
  return promise.finally(() => outer.setTimeout(0).off('error', reject));
}

/** The library emits bytes that came behind its reply, and resumes the socket, before anybody else can listen. */
function keepEarly(socket: Socket, done: () => void): void {
  const early: Buffer[] = [];
  const keep = (bytes: Buffer) => early.push(bytes);
  socket.on('data', keep);
  setImmediate(() => {
    socket.pause().off('data', keep);
    if (early.length > 0) socket.unshift(Buffer.concat(early));
    done();
  });
}

function failed(failure: Failure): Opened {
  return { kind: 'failed', failure, brokenHandshake: false, refusesUs: false };
}

/** RFC 1929 has no other answer than this for a wrong password. */
function proxyFailure({ host, port }: NextHop, proxy: SocksProxy, { message }: Error): Failure {
  const isLogin = /authentication failed|no accepted authentication/i.test(message);
  const where = `${host}:${port}: the SOCKS proxy ${proxy.host}:${proxy.port}`;
  return isLogin
    ? makeFailure({
        cause: 'login',
        status: '4.7.8',
        text: `${where} refuses our login: check socksProxy.credentialsSecretName and its Secret`,
      })
    : makeFailure({
        cause: 'connect',
        status: '4.4.1',
        text: `${where} makes no connection (${message})`,
        forSender: `${host}:${port}: no connection`,
      });
}
