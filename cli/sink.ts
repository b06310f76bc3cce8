/**
 * `mailrelay sink`: a next hop for trying things. It prints each message that it takes, as text or as one line of JSON,
 * until it is stopped.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { judgePair } from '#crds/keypair.ts';
import { describeFileError, describeSystemError } from '#crds/systemwords.ts';
import { makeFolder } from '#relay/task/folder.ts';
import { issuePair } from './localca.ts';
import { formatJson } from './output.ts';
import { untilStopSignal } from './signals.ts';
import { type Sink, type SinkOptions, type SinkTlsMode, startSink } from './sink/server.ts';
import { describeSink, describeTaken } from './sinktext.ts';
import { UsageError } from './usage.ts';

interface Options {
  readonly listen: string;
  readonly port: number;
  readonly tls: SinkTlsMode;
  readonly cert?: string;
  readonly key?: string;
  readonly keep: string;
  readonly output: 'text' | 'json';
}

/** The name in the throw-away certificate, besides localhost and 127.0.0.1. */
const SINK_HOSTNAME = 'sink.localhost';

export async function sink({ listen, port, tls, cert, key, keep, output }: Options): Promise<number> {
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError('Give both --cert and --key, or none');
  const pair = cert === undefined || key === undefined ? undefined : readPair(cert, key);
  const folder = resolve(keep);
  const onMessage: SinkOptions['onMessage'] = (message) => {
    process.stdout.write(output === 'json' ? `${formatJson(message)}\n` : describeTaken(message));
  };
  const started = await openSink({ address: listen, port, tls, pair, folder, onMessage });
  const says = describeSink(listen, started.port, tls, folder);
  (output === 'json' ? process.stderr : process.stdout).write(says);
  await Promise.race([untilStopSignal(), untilUnread()]);
  started.stop();
  return 0;
}

/** Resolves at the first message that nobody reads, such as the second one behind "| head -1". */
function untilUnread(): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'EPIPE') resolve();
    });
  });
}

/** Without a pair it makes one, which nobody can verify. Rejects with one sentence. */
export async function openSink(options: SinkOptions): Promise<Sink> {
  const { address, port, tls, folder, pair = await issuePair([SINK_HOSTNAME]) } = options;
  try {
    // Mail is private.
    makeFolder(folder);
    return await startSink({ ...options, pair: tls === 'none' ? undefined : pair });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== 'listen')
      throw describeFileError('write', folder, error);
    throw new Error(
      `The sink cannot listen at ${address} port ${port}: ${describeSystemError(error)}; choose another by --listen or --port`,
    );
  }
}

function readPair(certFile: string, keyFile: string): SinkOptions['pair'] {
  const [cert, key] = [readPem(certFile), readPem(keyFile)];
  const judged = judgePair(cert, key, [], new Date());
  if (judged.kind === 'unusable')
    throw new Error(`The pair of --cert and --key cannot serve: ${judged.message}`);
  return { cert, key };
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw describeFileError('read', file, error);
  }
}
