/**
 * The whole command as a tree of verbs. It is the source of the help, the completion, the man page and the page of the
 * documentation. A run loads only the verb that it needs.
 */
import { Verb } from './verb.ts';

const VERBS: Readonly<Record<string, () => Promise<{ readonly verb: Verb }>>> = {
  run: () => import('./verbs/run.ts'),
  lint: () => import('./verbs/lint.ts'),
  send: () => import('./verbs/send.ts'),
  sink: () => import('./verbs/sink.ts'),
  queue: () => import('./verbs/queue.ts'),
  find: () => import('./verbs/find.ts'),
  status: () => import('./verbs/status.ts'),
  sessions: () => import('./verbs/sessions.ts'),
  console: () => import('./verbs/console.ts'),
  explain: () => import('./verbs/explain.ts'),
  trace: () => import('./verbs/trace.ts'),
  cert: () => import('./verbs/cert.ts'),
  dkim: () => import('./verbs/dkim.ts'),
  tlsrpt: () => import('./verbs/tlsrpt.ts'),
  hash: () => import('./verbs/hash.ts'),
  completion: () => import('./verbs/completion.ts'),
  version: () => import('./verbs/version.ts'),
  relay: () => import('./verbs/relay.ts'),
  operator: () => import('./verbs/operator.ts'),
};

/** With the named verb alone, or with all verbs if there is none of that name. */
export async function buildProgram(name?: string): Promise<Verb> {
  const program = new Verb('mailrelay')
    .description('TLS-enabled mail relays, on Kubernetes and without')
    .usage('VERB [options]')
    .helpCommand('help [verb...]', 'print the help of a verb')
    .option('-V, --version', 'print the version')
    .addHelpText('after', '\nHelp of a verb: mailrelay VERB --help');
  // The completion is made of all verbs.
  const known =
    name !== undefined && name !== 'completion' && Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  const modules = await Promise.all((known ? [known] : Object.values(VERBS)).map((load) => load()));
  for (const { verb } of modules) program.addCommand(verb);
  return program;
}
