/**
 * `kubectl mailrelay test`: one message through each listener of a relay, by its Service, as a workload in the cluster
 * sends it. A pod of the relay is the client, so its network must be one that may send.
 */
import { Readable } from 'node:stream';
import type { MailRelay } from '#crds/mailrelay.ts';
import { visibleLines } from '#crds/visible.ts';
import { print } from '../output.ts';
import { chooseTls } from '../sendwords.ts';
import type { Cluster, Ran } from './cluster.ts';
import type { Form } from './globals.ts';
import { choosePods } from './inpods.ts';

export interface TestOrder {
  readonly relay: string;
  readonly from: string;
  readonly to: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Only this listener. */
  readonly listener?: string | undefined;
  readonly pod?: string | undefined;
  readonly form: Form;
}

type Pods = Pick<Cluster, 'namespace' | 'readRelay' | 'listPods' | 'run'>;
type Listener = MailRelay['spec']['inbound']['listeners'][number];

/** What came of the message through one listener. */
interface Tried {
  readonly listener: string;
  readonly port: number;
  readonly result: 'taken' | 'failed' | 'not tried';
  /** Why it was not tried. */
  readonly reason: string | null;
  /** The conversation and the reply, line by line. */
  readonly steps: readonly string[];
  readonly errors: readonly string[];
}

/** The text comes listener by listener. The exit status is 1 also where no listener could be tried. */
export async function testListeners(cluster: Pods, order: TestOrder): Promise<number> {
  const { spec } = await cluster.readRelay(order.relay);
  const listeners = chooseListeners(spec, order);
  const [pod = ''] = await choosePods(cluster, order.relay, order.pod);
  const all: Tried[] = [];
  let worst = 0;
  for (const listener of listeners) {
    const reason = findObstacle(spec, listener, order);
    const ran = reason === undefined ? await sendThrough(cluster, pod, spec, listener, order) : undefined;
    const tried = judge(listener, ran, reason);
    all.push(tried);
    if (order.form === 'text') process.stdout.write(describeTried(tried));
    worst = Math.max(worst, ran?.code ?? 0);
  }
  if (order.form !== 'text') await print(order.form, all, () => '');
  return all.every(({ result }) => result === 'not tried') ? 1 : worst;
}

function judge({ name: listener, port }: Listener, ran: Ran | undefined, reason: string | undefined): Tried {
  if (!ran) return { listener, port, result: 'not tried', reason: reason ?? null, steps: [], errors: [] };
  const lines = (text: string) => text.split('\n').filter((line) => line !== '');
  const result = ran.code === 0 ? 'taken' : 'failed';
  return { listener, port, result, reason: null, steps: lines(ran.out), errors: lines(ran.errors) };
}

function chooseListeners({ inbound }: MailRelay['spec'], { listener }: TestOrder): readonly Listener[] {
  const found = inbound.listeners.filter(({ name }) => listener === undefined || name === listener);
  if (found.length > 0) return found;
  const names = inbound.listeners.map(({ name }) => name).join(', ');
  throw new Error(`There is no listener "${listener}", only ${names}`);
}

/** Why a listener cannot be tried from inside; undefined if it can. */
export function findObstacle(
  { inbound }: Pick<MailRelay['spec'], 'inbound'>,
  listener: Listener,
  { user }: Pick<TestOrder, 'user'>,
): string | undefined {
  const { enabled, proxyProtocol, auth } = listener;
  if (inbound.enabled === false || enabled === false) return 'it is switched off';
  if (proxyProtocol) return 'only its load balancer can connect (proxyProtocol)';
  if (auth === 'Required' && user === undefined) return 'it wants a login: add --user';
  if (user !== undefined && findTls(inbound, listener) === 'none')
    return 'it has no TLS, and a login is never sent in clear: leave --user out';
  return undefined;
}

const findTls = ({ starttls }: MailRelay['spec']['inbound'], listener: Listener) =>
  chooseTls({ ...listener, starttls: listener.starttls ?? starttls });

/** The words of `mailrelay send` for a listener. */
export function listSendWords(
  { relay, namespace }: { relay: string; namespace: string },
  spec: Pick<MailRelay['spec'], 'hostname' | 'inbound'>,
  listener: Listener,
  { from, to, user }: Pick<TestOrder, 'from' | 'to' | 'user'>,
): string[] {
  const tls = findTls(spec.inbound, listener);
  return [
    ...[
      'send',
      '--steps',
      '--server',
      `${relay}.${namespace}.svc:${listener.port}`,
      '--from',
      from || '<>',
      '--to',
      to,
    ],
    ...['--tls', tls, '--subject', 'kubectl mailrelay test'],
    ...(tls === 'none' ? [] : ['--server-name', spec.hostname]),
    ...(user === undefined ? [] : ['--user', user]),
  ];
}

function sendThrough(
  cluster: Pods,
  pod: string,
  spec: MailRelay['spec'],
  listener: Listener,
  order: TestOrder,
): Promise<Ran> {
  const { namespace } = cluster;
  const words = listSendWords({ relay: order.relay, namespace }, spec, listener, order);
  const input = order.password === undefined ? undefined : Readable.from([`${order.password}\n`]);
  return cluster.run(pod, words, input);
}

function describeTried({ listener, port, result, reason, steps, errors }: Tried): string {
  const head = `${listener} at port ${port}: ${result}${reason === null ? '' : `: ${reason}`}`;
  return visibleLines(`${[head, ...[...steps, ...errors].map((line) => `  ${line}`)].join('\n')}\n`);
}
