/**
 * The API server for one reconcile. It measures the time that the reconcile waits for answers, and how long it keeps
 * the process busy. It puts each answer to a write into the caches at once, so that the next look does not take our own
 * write for a foreign one. It writes only while this process leads and certainly holds the Lease. A write that gets no answer in
 * time, while the API server answers others, fails alone: most often an admission webhook is slow, and nothing else would tell.
 */
import type { Writer } from './attempt.ts';
import type { Caches } from './caches.ts';
import type { ForbiddenWrites } from './forbidden.ts';
import type { Client, KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import type { Paces } from './paces.ts';

export interface ReconcileWriterOptions {
  readonly client: Pick<Client, 'request'>;
  readonly caches: Pick<Caches, 'learn' | 'expectStatus'>;
  readonly forbidden: ForbiddenWrites;
  readonly mayWrite: () => boolean;
  readonly paces: Paces;
  readonly onAnswer: (method: Request['method'], ms: number) => void;
}

export class ReconcileWriter implements Writer {
  readonly #options: ReconcileWriterOptions;
  /** Milliseconds that the reconcile has waited for answers. */
  waitedMs = 0;
  writes = 0;
  readonly #begunCpuMs = readCpuMs();
  /** CPU time of other work while the reconcile waited. */
  #othersCpuMs = 0;

  get paces(): Paces {
    return this.#options.paces;
  }

  constructor(options: ReconcileWriterOptions) {
    this.#options = options;
  }

  /** CPU time of the reconcile so far. On a busy machine the time on the clock would tell more. */
  get busyMs(): number {
    return readCpuMs() - this.#begunCpuMs - this.#othersCpuMs;
  }

  async request<T>(request: Request): Promise<T> {
    const { client, caches, forbidden, mayWrite, onAnswer } = this.#options;
    const { method } = request;
    if (method !== 'GET' && !mayWrite())
      throw new KubeError('unavailable', 'this process leads no more, or did not renew the Lease in time');
    if (isStatus(request)) caches.expectStatus(request.body as KubeObject);
    const [begun, begunCpuMs] = [performance.now(), readCpuMs()];
    try {
      const answer = await client.request<T>({ ...request, failsAlone: method !== 'GET' });
      if (method === 'PATCH') caches.learn(answer as KubeObject);
      if (method !== 'GET') this.#wrote(request);
      return answer;
    } catch (error) {
      if (method !== 'GET') forbidden.failed(request, error);
      throw error;
    } finally {
      const ms = performance.now() - begun;
      this.waitedMs += ms;
      this.#othersCpuMs += readCpuMs() - begunCpuMs;
      onAnswer(method, ms);
    }
  }

  #wrote(request: Request): void {
    this.writes += 1;
    this.#options.forbidden.succeeded(request);
  }
}

function isStatus({ method, path }: Request): boolean {
  return method === 'PATCH' && path.endsWith('/status');
}

function readCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
