/**
 * The verbs of `kubectl mailrelay`: what `mailrelay` does in one pod, for all pods of a relay, and what needs the
 * cluster. It acts by the rights of the person: exec into relay pods, as kubectl exec does.
 */
import { objectName } from '#crds/shapes.ts';
import { refuseMisshapen } from '../misshapen.ts';
import { untilStopSignal } from '../signals.ts';
import { checkAddress, once, parsePeer, parsePort, parseSender, parseSession, parseTime } from '../usage.ts';
import { Verb } from '../verb.ts';
import { verb as podQueue } from '../verbs/queue.ts';
import type { Cluster } from './cluster.ts';
import { checkGlobals, type Form, type Globals, inNamespace } from './globals.ts';

const GLOBALS = `
Options of all verbs, anywhere in the line:
  -n, --namespace <name>   namespace of the relay (default: that of the kubeconfig)
  --context <name>         context of the kubeconfig
  --kubeconfig <file>      how to reach the API server (default: as kubectl)
  --pod <name>             only this pod, where a verb asks pods
  -o, --output <format>    text, wide, json or yaml, where a verb has them`;

/** What each verb gets beside its own options. */
interface Given {
  readonly pod: string | undefined;
  readonly form: Form;
  /** Of a manifest: its namespace. */
  readonly connect: (namespace?: string) => Promise<Cluster>;
}

export function buildPlugin(globals: Globals): Verb {
  const given: Given = {
    pod: globals.pod,
    form: globals.output ?? 'text',
    connect: async (namespace) => new (await import('./cluster.ts')).Cluster(inNamespace(globals, namespace)),
  };
  return new Verb('kubectl mailrelay')
    .description('MailRelays in a cluster, by your own rights')
    .usage('VERB [RELAY] [options]')
    .addHelpText('after', GLOBALS)
    .hook('preAction', ({ args: [verb = ''] }) => checkGlobals(globals, verb))
    .addCommand(inPods('status', 'what each pod serves, its queue and its sessions', given))
    .addCommand(inPods('sessions', 'who is connected to each pod now: clients, and next hops', given))
    .addCommand(queue(given))
    .addCommand(inPods('explain', 'what becomes of mail for an address, asked in each pod', given))
    .addCommand(inPods('find', 'what became of mail, out of the history of each pod', given))
    .addCommand(inPods('tlsrpt', 'TLS reports that other mail systems have sent', given, 'received'))
    .addCommand(top(given))
    .addCommand(page(given))
    .addCommand(test(given))
    .addCommand(trace(given))
    .addCommand(cert(given))
    .addCommand(events(given))
    .addCommand(restart(given))
    .addCommand(pausing('pause', true, 'let the operator leave a relay alone; its pods go on', given))
    .addCommand(pausing('resume', false, 'let the operator look after a relay again', given))
    .addCommand(diff(given))
    .addCommand(render(globals))
    .addCommand(report(given))
    .example('queue list relay -n mail --older 2h', 'What waits in all pods, and why')
    .example('diff -f relay.yaml', 'What an edit would restart');
}

/** It becomes a part of a path of the API: an empty one, of a variable that is not set, would stand for all MailRelays. */
function readRelay(name: string): string {
  refuseMisshapen('relay', objectName(), name);
  return name;
}

function ofRelay(name: string, summary: string): Verb {
  return new Verb(name).summary(summary).argument('<relay>', 'the name of a MailRelay', readRelay);
}

/** The words behind the name of the relay go to the pods as they are. */
function passing(name: string, summary: string, path: string): Verb {
  return ofRelay(name, summary)
    .argument('[words...]', `arguments and options of "mailrelay ${path}" in a pod`)
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText('after', `\nOptions: see "mailrelay ${path} --help"`);
}

/** `first`: a word that the verb of a pod gets before the others, also where the person leaves it out. */
function inPods(name: string, summary: string, { connect, pod, form }: Given, first?: string): Verb {
  return passing(name, summary, name).does(async () => {
    const { runInPods } = await import('./inpods.ts');
    return async (relay: string, rest: readonly string[]) => {
      const begin = first === undefined || rest.includes(first) ? [name] : [name, first];
      return runInPods(await connect(), { relay, words: [...begin, ...rest], pod, form });
    };
  });
}

function queue({ connect, pod, form }: Given): Verb {
  const group = new Verb('queue')
    .usage('VERB RELAY [options]')
    .summary('the queues of all pods: list, show, hold, release and more');
  for (const one of podQueue.commands) {
    const action = one.name();
    group.addCommand(
      passing(action, one.summary(), `queue ${action}`).does(async () => {
        const { runQueue } = await import('./queue.ts');
        return async (relay: string, words: readonly string[]) =>
          runQueue(await connect(), { relay, action, words, pod, form });
      }),
    );
  }
  return group;
}

function top({ connect, pod, form }: Given): Verb {
  return ofRelay('top', 'sessions and queue of each pod, live')
    .option('--once', 'print once, and end')
    .does(async () => {
      const { showLoad } = await import('./top.ts');
      return async (relay: string, { once }: { once?: boolean }) => {
        const isOnce = once === true || form !== 'text' || !process.stdout.isTTY;
        return showLoad(await connect(), relay, { pod, form, isOnce, signal: interrupted() });
      };
    });
}

interface PageOptions {
  readonly port?: number;
  readonly allowChanges?: boolean;
}

function page({ connect, pod }: Given): Verb {
  return new Verb('console')
    .summary('a page that shows all pods of a relay, in a browser on this machine')
    .argument('[relay]', 'the name of a MailRelay (default: all of the namespace)', readRelay)
    .option('--port <port>', 'port of the page on 127.0.0.1 (default: a free one)', parsePort)
    .option('--allow-changes', 'let the page hold, release, retry and remove messages')
    .does(async () => {
      const [{ PodsOfRelay }, { serveRelays }] = await Promise.all([
        import('./podsofrelay.ts'),
        import('../console/serve.ts'),
      ]);
      return async (relay: string | undefined, options: PageOptions) => {
        const pods = new PodsOfRelay(await connect(), relay, pod);
        const found = await pods.pods();
        if (pod !== undefined && found.length === 0)
          throw new Error(`There is no pod "${pod}" here: leave out --pod to see all`);
        return serveRelays(pods, options);
      };
    });
}

interface TestOptions {
  readonly from: string;
  readonly to: string;
  readonly listener?: string;
  readonly user?: string;
}

function test({ connect, pod, form }: Given): Verb {
  return ofRelay('test', 'send one message through each listener, step by step')
    .requiredOption('--from <address>', 'sender; <> is the null sender', parseSender)
    .requiredOption('--to <address>', 'recipient', once(checkAddress))
    .option('--listener <name>', 'only this listener', once())
    .option('--user <name>', 'log in; the password is asked for, or is the first line of standard input')
    .example('test relay -n mail --from me@example.com --to you@example.com', 'Try all listeners')
    .does(async () => {
      const [{ testListeners }, { readPassword }] = await Promise.all([
        import('./test.ts'),
        import('../password.ts'),
      ]);
      return async (relay: string, options: TestOptions) => {
        const password = options.user === undefined ? undefined : await readPassword('known');
        return testListeners(await connect(), { relay, pod, form, password, ...options });
      };
    });
}

interface TraceOptions {
  readonly since?: number;
  readonly follow: boolean;
  readonly session?: string;
  readonly peer?: string;
}

function trace({ connect, pod }: Given): Verb {
  return ofRelay('trace', 'the SMTP trace in the logs of all pods')
    .option('--since <time>', 'begin with the lines of the last 10m, 2h or 1d', parseTime)
    .option('--no-follow', 'end with the last line of now')
    .option('--session <id>', 'only the session of this id', once(parseSession))
    .option('--peer <address>', 'only sessions with this client, or next hop', once(parsePeer))
    .does(async () => {
      const { followTrace } = await import('./trace.ts');
      return async (relay: string, { since, ...options }: TraceOptions) =>
        followTrace(await connect(), { relay, pod, sinceSeconds: since, ...options }, interrupted());
    });
}

function cert({ connect, pod, form }: Given): Verb {
  return ofRelay('cert', 'the certificate that each pod serves').does(async () => {
    const { showCertificates } = await import('./cert.ts');
    return async (relay: string) => showCertificates(await connect(), { relay, pod, form });
  });
}

function events({ connect, form }: Given): Verb {
  return ofRelay('events', 'what happened to a relay, its pods, volumes and certificates').does(async () => {
    const [{ listEvents, describeEvents }, { print }] = await Promise.all([
      import('./events.ts'),
      import('../output.ts'),
    ]);
    return async (relay: string) => {
      const found = await listEvents(await connect(), relay);
      await print(form, found, () => describeEvents(found, Date.now()));
      return 0;
    };
  });
}

function restart({ connect }: Given): Verb {
  return ofRelay('restart', 'replace the pods of a relay, one at a time').does(async () => {
    const actions = await import('./actions.ts');
    return async (relay: string) => actions.restart(await connect(), relay);
  });
}

function pausing(name: string, isPaused: boolean, summary: string, { connect }: Given): Verb {
  return ofRelay(name, summary).does(async () => {
    const actions = await import('./actions.ts');
    return async (relay: string) => actions.pause(await connect(), relay, isPaused);
  });
}

function ofFile(name: string, summary: string): Verb {
  return new Verb(name)
    .summary(summary)
    .requiredOption('-f, --filename <file>', 'a file or folder with one MailRelay', once());
}

function diff({ connect }: Given): Verb {
  return ofFile('diff', 'what a manifest changes, field by field, and what restarts; writes nothing').does(
    async () => {
      const { diffFile } = await import('./diff.ts');
      return async ({ filename }: { filename: string }) => diffFile(connect, filename);
    },
  );
}

function render(globals: Globals): Verb {
  return ofFile('render', 'the objects that the operator makes of a manifest; asks no cluster').does(
    async () => {
      const { renderFile } = await import('./render.ts');
      return async ({ filename }: { filename: string }) => renderFile(filename, globals);
    },
  );
}

function report({ connect }: Given): Verb {
  return ofRelay('report', 'a folder for support: status, objects, events and logs, without secrets')
    .option('--to <dir>', 'the folder, which must not exist (default: RELAY-report)')
    .does(async () => {
      const { writeReport } = await import('./report.ts');
      return async (relay: string, { to = `${relay}-report` }: { to?: string }) =>
        writeReport(await connect(), relay, to);
    });
}

/** Aborts when the person presses Ctrl-C, or reads no more; a second Ctrl-C ends the process. */
function interrupted(): AbortSignal {
  const stop = new AbortController();
  void untilStopSignal().then(() => stop.abort());
  process.stdout.once('error', () => stop.abort());
  return stop.signal;
}
