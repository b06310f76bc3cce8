/**
 * The `mailrelay` command: runs the verb that is named. Only the module of that verb is imported, because the
 * Kubernetes client library alone costs half a second. Exit status: 0 done, 1 failed, 2 wrong usage. An error is one
 * sentence, without a stack.
 */
import { UsageError } from './usage.ts';

const VERBS: Readonly<
  Record<string, { summary: string; load: () => Promise<(argv: string[]) => Promise<number>> }>
> = {
  run: {
    summary: 'run a MailRelay manifest as local processes',
    load: async () => (await import('./run.ts')).run,
  },
  lint: {
    summary: 'check manifests without a cluster',
    load: async () => (await import('./lint.ts')).lint,
  },
  send: {
    summary: 'send one message through a relay, verifying its certificate',
    load: async () => (await import('./send.ts')).send,
  },
  queue: {
    summary: 'the queue of a running relay: list, show, hold, release, retry, remove, export',
    load: async () => (await import('./queue.ts')).queue,
  },
  status: {
    summary: 'what a running relay serves, and whom Required would refuse',
    load: async () => (await import('./status.ts')).status,
  },
  hash: {
    summary: 'turn a password into what a Secret of users holds',
    load: async () => (await import('./hash.ts')).hash,
  },
  explain: {
    summary: 'which rule decides for an address or a client; what a condition reason means',
    load: async () => (await import('./explain.ts')).explain,
  },
  trace: {
    summary: 'pick the SMTP trace out of the log of a relay',
    load: async () => (await import('./trace.ts')).trace,
  },
  cert: {
    summary: 'judge a certificate and its key as a relay does',
    load: async () => (await import('./cert.ts')).cert,
  },
  tlsrpt: {
    summary: 'TLS reports that other mail systems have sent, in plain words',
    load: async () => (await import('./tlsrpt.ts')).tlsrpt,
  },
  relay: {
    summary: 'the relay of a pod (used by the image)',
    load: async () => (await import('./relay.ts')).relay,
  },
  operator: {
    summary: 'the operator (used by the image)',
    load: async () => (await import('#operator/main.ts')).runOperator,
  },
  version: { summary: 'print the version', load: async () => (await import('./version.ts')).printVersion },
};

const HELP = `mailrelay: TLS-enabled mail relays, on Kubernetes and without

Usage: mailrelay VERB [options]      mailrelay VERB --help

${Object.entries(VERBS)
  .map(([verb, { summary }]) => `  ${verb.padEnd(10)}${summary}`)
  .join('\n')}
`;

async function main([verb, ...argv]: string[]): Promise<number> {
  if (verb === undefined || verb === 'help' || verb === '--help' || verb === '-h') {
    (verb === undefined ? process.stderr : process.stdout).write(HELP);
    return verb === undefined ? 2 : 0;
  }
  const name = verb === '--version' ? 'version' : verb;
  const known = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (!known) throw new UsageError(`There is no verb "${verb}": see "mailrelay --help"`);
  return (await known.load())(argv);
}

// A reader that closes the pipe early, such as "| head", is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`mailrelay: ${(error as Error).message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
