/**
 * A continuous stream of SMTP connections from its own thread, so that a test that blocks does not interrupt the
 * stream. Each connection reads the greeting and quits. A connection that is refused, reset or gets no reply is a
 * failure.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { SmtpClient } from './smtpclient.ts';

const BESIDE_EACH_OTHER = 4;

export interface StreamOptions {
  readonly host?: string;
  /** After each connection. A stream without pauses takes the machine from everything else that runs on it. */
  readonly pauseMs?: number;
}

export interface StreamResult {
  readonly connections: number;
  readonly failures: readonly string[];
}

export interface ConnectionStream {
  stop(): Promise<StreamResult>;
}

const FLOWING = 'flowing';

/** Resolves after the first connection. If that fails it rejects and leaves no thread. */
export async function streamOfConnections(
  port: number,
  { host = '127.0.0.1', pauseMs = 0 }: StreamOptions = {},
): Promise<ConnectionStream> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { port, host, pauseMs } });
  const first = await new Promise<string>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  if (first !== FLOWING) {
    await worker.terminate();
    throw new Error(`the first connection failed: ${first}`);
  }
  return {
    stop: async () => {
      const result = new Promise<StreamResult>((resolve) => worker.once('message', resolve));
      worker.postMessage('stop');
      const told = await result;
      await worker.terminate();
      return told;
    },
  };
}

async function work(port: number, { host, pauseMs }: Required<StreamOptions>): Promise<void> {
  let [connections, running] = [0, true];
  const failures: string[] = [];
  parentPort?.once('message', () => {
    running = false;
  });
  const loop = async () => {
    while (running) {
      try {
        const client = await SmtpClient.connect(port, host);
        await client.hello();
        await client.quit();
        connections += 1;
        if (connections === 1) parentPort?.postMessage(FLOWING);
      } catch (error) {
        const { message } = error as Error;
        failures.push(message);
        if (failures.length === 1 && connections === 0) parentPort?.postMessage(message);
      }
      if (pauseMs > 0) await new Promise((tick) => setTimeout(tick, pauseMs));
    }
  };
  await Promise.all(Array.from({ length: BESIDE_EACH_OTHER }, loop));
  parentPort?.postMessage({ connections, failures } satisfies StreamResult);
}

if (!isMainThread) {
  const { port, ...options } = workerData as { port: number } & Required<StreamOptions>;
  await work(port, options);
}
