/**
 * The router process. It comes up beside the one before it and begins only when it is told that the other has let go
 * of the queue, so that no message is delivered by both. Ends with its supervisor.
 */
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { CONTROL_SOCKET } from '#crds/wellknown.ts';
import { SmtpClient } from '../delivery/smtpclient.ts';
import { DkimSigner } from '../dkim/signer.ts';
import { jsonLog, lineWriter } from '../observe/log.ts';
import { traceOf } from '../observe/trace.ts';
import { type ControlServer, serveControl } from '../queue/control.ts';
import { QueueManager } from '../queue/manager.ts';
import { QueueTools } from '../queue/tools.ts';
import { Spool } from '../spool/spool.ts';
import type { FromRouter, ToRouter } from '../task/messages.ts';
import { shareOwnership } from '../task/owner.ts';

const REPORT_MS = 500;
/** Where there is too little CPU time for both, the listeners have it first: clients wait for them, and nobody for us. */
const NICENESS = 10;

interface Router {
  readonly manager: QueueManager;
  readonly courier: SmtpClient;
  readonly signer: DkimSigner;
  readonly spool: Spool;
  readonly stateDir: string;
}

let router: Router | undefined;
let control: ControlServer | undefined;
let reported = '';
const log = jsonLog('router', 1, Date.now);

giveWay();
process.on('message', (message: ToRouter) => handle(message));
process.on('disconnect', () => process.exit(0));
// The supervisor decides when to stop.
process.on('SIGTERM', () => undefined);
process.on('SIGINT', () => undefined);

function giveWay(): void {
  try {
    setPriority(NICENESS);
  } catch {
    // A sandbox may know no priorities; then all wait alike.
  }
}

function tell(message: FromRouter): void {
  process.send?.(message);
}

function handle(message: ToRouter): void {
  switch (message.kind) {
    case 'configure':
      configure(message);
      break;
    case 'materials':
      router?.courier.useMaterials(message.materials);
      router?.signer.use(message.materials);
      router?.manager.materialsChanged();
      break;
    case 'start':
      void start();
      break;
    case 'entered':
      for (const id of message.ids) router?.manager.add(id);
      // Whoever took them has counted them, and hears of it even where they are gone by the next report.
      reported = '';
      break;
    case 'drain':
      void drain(message.deadlineMs);
      break;
    default:
      message satisfies never;
  }
}

function configure({ policy, materials, stateDir }: Extract<ToRouter, { kind: 'configure' }>): void {
  try {
    shareOwnership(stateDir);
    const spool = new Spool(stateDir, () => router?.manager.counters.add('spool_syncs', 'router'));
    const tracer = traceOf(policy.trace, lineWriter(1), Date.now);
    const courier = new SmtpClient(policy, materials, tracer);
    const signer = new DkimSigner(policy, materials, log);
    const sign: DkimSigner['sign'] = (message) => signer.sign(message);
    const { random } = Math;
    const manager = new QueueManager({ policy, spool, courier, signer: sign, log, clock: Date.now, random });
    router = { manager, courier, signer, spool, stateDir };
    tell({ kind: 'ready' });
  } catch (error) {
    tell({ kind: 'failed', message: (error as Error).message });
  }
}

async function start(): Promise<void> {
  if (!router) return;
  setInterval(report, REPORT_MS);
  void router.manager.start();
  try {
    const tools = new QueueTools(router.manager, router.spool);
    control = await serveControl(join(router.stateDir, CONTROL_SOCKET), tools);
  } catch (error) {
    // Mail flows without it.
    log('no_queue_tools', { message: (error as Error).message });
  }
}

function report(): void {
  if (!router) return;
  const counted = router.manager.counters.take();
  if (counted) tell({ kind: 'counts', ...counted });
  const { figures } = router.manager;
  const text = JSON.stringify(figures);
  if (text !== reported) tell({ kind: 'queue', figures });
  reported = text;
}

async function drain(deadlineMs: number): Promise<void> {
  control?.retire();
  await router?.manager.drain(deadlineMs);
  report();
  control?.close();
  await router?.spool.close();
  process.disconnect?.();
}
