/**
 * The cluster as a person sees it: the kubeconfig of the person, and no other rights. A right that is missing is named.
 * Commands run in relay pods, as `kubectl exec` runs them.
 */
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import type { V1Status } from '@kubernetes/client-node';
import { Exec } from '@kubernetes/client-node/dist/exec.js';
import { readCertificateError } from '#crds/certificateerror.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import { describeSystemError, isSystemCode } from '#crds/systemwords.ts';
import { selectorLabels } from '#crds/wellknown.ts';
import { Client, type KubeObject, type Request } from '#operator/kube/client.ts';
import type { KubeConfig } from '#operator/kube/clientnode.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, type Kind, MAIL_RELAY, POD } from '#operator/kube/kinds.ts';
import { loadConfig } from '#operator/kube/kubeconfig.ts';

const CONTAINER = 'relay';

/** Where to look, as kubectl has it. */
export interface Place {
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

export interface Pod extends KubeObject {
  readonly status?: { readonly phase?: string };
}

export type LiveRelay = MailRelay & { readonly status?: MailRelayStatus };

/** The output of a command in a pod. */
export interface Ran {
  readonly pod: string;
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

export class Cluster {
  readonly namespace: string;
  readonly #config: KubeConfig;
  readonly #client: Client;

  constructor({ namespace, context, kubeconfig }: Place) {
    this.#config = loadConfig(kubeconfig);
    if (context !== undefined) selectContext(this.#config, context);
    this.#client = new Client(this.#config, () => undefined);
    this.namespace = namespace ?? this.#client.namespace ?? 'default';
  }

  async request<T>(request: Request): Promise<T> {
    try {
      return await this.#client.request<T>(request);
    } catch (error) {
      if (isKubeError(error, 'unauthenticated')) throw new Error(`The API server does not know you: log in`);
      if (isKubeError(error, 'unavailable'))
        throw new Error(
          `The API server does not answer: ${describeAway(error.message)}: name another by --context or --kubeconfig`,
        );
      throw error;
    }
  }

  async readRelay(name: string): Promise<LiveRelay> {
    const found = await this.findRelay(name);
    if (found) return found;
    throw new Error(
      `There is no MailRelay "${name}" in namespace "${this.namespace}": name its namespace by -n`,
    );
  }

  /** Undefined: there is none of this name. */
  async findRelay(name: string): Promise<LiveRelay | undefined> {
    try {
      return await this.request<LiveRelay>({ method: 'GET', path: this.path(MAIL_RELAY, name) });
    } catch (error) {
      if (!isKubeError(error, 'notFound')) throw error;
    }
    // The answer is the same where the kind is not known. A person who may not list is not told the difference.
    await this.#listRelays({ limit: '1' }).catch((error: unknown) => {
      if (!isKubeError(error, 'forbidden')) throw error;
    });
    return undefined;
  }

  /** The names of all MailRelays of the namespace, of which there is one at least. */
  async listRelays(): Promise<string[]> {
    const relays = await this.#listRelays();
    if (relays.length === 0)
      throw new Error(`There is no MailRelay in namespace "${this.namespace}": name another by -n`);
    return relays.map(({ metadata }) => metadata.name).toSorted();
  }

  path(kind: Kind, name?: string): string {
    return apiPath(kind, this.namespace, name);
  }

  async #listRelays(query: Request['query'] = {}): Promise<KubeObject[]> {
    try {
      return await this.list(MAIL_RELAY, query);
    } catch (error) {
      if (!isKubeError(error, 'notFound')) throw error;
      throw new Error('This cluster does not know MailRelays: install the operator first');
    }
  }

  async list<T extends KubeObject>(kind: Kind, query: Request['query'] = {}): Promise<T[]> {
    const { items } = await this.request<{ items: T[] }>({ method: 'GET', path: this.path(kind), query });
    return items;
  }

  /** The objects with the labels of a MailRelay. */
  listOwn<T extends KubeObject>(kind: Kind, relay: string): Promise<T[]> {
    const pairs = Object.entries(selectorLabels(relay)).map((pair) => pair.join('='));
    return this.list<T>(kind, { labelSelector: pairs.join(',') });
  }

  /** The pods of a MailRelay, in the order of their numbers. */
  async listPods(relay: string): Promise<Pod[]> {
    await this.readRelay(relay);
    const pods = await this.listOwn<Pod>(POD, relay);
    return pods.toSorted((a, b) => readNumber(a) - readNumber(b));
  }

  /** Lines of the log of a pod as they come; ends when the pod does, or when `signal` aborts. */
  log(pod: string, query: Request['query'], signal: AbortSignal): AsyncIterable<string> {
    const path = `${this.path(POD, pod)}/log`;
    return this.#client.lines({ method: 'GET', path, query: { container: CONTAINER, ...query } }, signal);
  }

  /** Runs `mailrelay WORDS` in the pod. */
  async run(pod: string, words: readonly string[], input?: Readable): Promise<Ran> {
    const ran = await this.read(pod, words, input);
    return { ...ran, out: ran.out.toString() };
  }

  /** The same, octet by octet: a message may have any. */
  async read(
    pod: string,
    words: readonly string[],
    input?: Readable,
  ): Promise<Omit<Ran, 'out'> & { readonly out: Buffer }> {
    const [out, errors] = [new PassThrough(), new PassThrough()];
    const texts = Promise.all([buffer(out), text(errors)]);
    const code = await this.#exec(pod, ['mailrelay', ...words], { out, errors, input });
    out.end();
    errors.end();
    const [printed, told] = await texts;
    return { pod, code, out: printed, errors: told };
  }

  async #exec(
    pod: string,
    command: readonly string[],
    { out, errors, input }: { out: Writable; errors: Writable; input: Readable | undefined },
  ): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const exec = new Exec(this.#config);
    const socket = await exec
      .exec(this.namespace, pod, CONTAINER, [...command], out, errors, input ?? null, false, (status) =>
        resolve(readCode(status)),
      )
      .catch((error: Error) => {
        throw new Error(this.#describeExecError(pod, error.message));
      });
    socket.on('close', () => reject(new Error(`The connection to pod "${pod}" broke: try again`)));
    return promise;
  }

  #describeExecError(pod: string, message: string): string {
    if (/\b(401|403)\b/.test(message))
      return `You may not run commands in pods of namespace "${this.namespace}": the right "create" (before Kubernetes 1.35 also "get") on "pods/exec" is missing`;
    return `Cannot run a command in pod "${pod}": ${describeRefusal(message)}`;
  }
}

/** A code of the system or of OpenSSL, or a sentence. */
function describeAway(message: string): string {
  const certificate = readCertificateError(message);
  if (certificate) return `its certificate ${certificate.says}`;
  return isSystemCode(message) ? describeSystemError({ code: message }) : message;
}

/** What the library says where the API server does not open the stream. */
function describeRefusal(message: string): string {
  const [, code] = /^Unexpected server response: (\d+)$/.exec(message) ?? [];
  if (code === '404') return 'it is not there any more: try again';
  if (code !== undefined) return `the API server answers ${code}: its node may be away, try again`;
  return message || 'it does not run, or its node does not answer';
}

function selectContext(config: KubeConfig, context: string): void {
  const known = config.getContexts().map(({ name }) => name);
  if (!known.includes(context))
    throw new Error(`The kubeconfig has no context "${context}", only ${known.join(', ')}`);
  config.setCurrentContext(context);
}

function readCode({ status, details }: V1Status): number {
  if (status === 'Success') return 0;
  const cause = details?.causes?.find(({ reason }) => reason === 'ExitCode');
  return Number(cause?.message ?? 1);
}

function readNumber({ metadata }: KubeObject): number {
  return Number(metadata.name.slice(metadata.name.lastIndexOf('-') + 1));
}
