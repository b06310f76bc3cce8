/**
 * The router process. It comes up beside the one before it and begins only when it is told that the other has let go
 * of the queue, so that no message is delivered by both. Ends with its supervisor.
 */
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { CONTROL_SOCKET } from '#crds/wellknown.ts';
import { Delivery } from '../delivery/delivery.ts';
import { DkimSigner } from '../dkim/signer.ts';
import { jsonLog, lineWriter } from '../observe/log.ts';
import { traceOf } from '../observe/trace.ts';
import { type ControlServer, serveControl } from '../queue/control.ts';
import { QueueManager } from '../queue/manager.ts';
import { QueueTools } from '../queue/tools.ts';
import { oldestUnanswered, Spool } from '../spool/spool.ts';
import { Task } from '../task/bootstrap.ts';
import { monotonic, wall } from '../task/clock.ts';
import type { FromRouter, ToRouter } from '../task/messages.ts';
import { QueueTeller } from '../task/queueteller.ts';

const TELL_MS = 500;
/** How often in a row the store may be found broken. */
const BROKEN_TIMES = 20;
/** Where there is too little CPU time for both, the listeners have it first: clients wait for them, and nobody for us. */
const NICENESS = 10;

interface Router {
  readonly manager: QueueManager;
  readonly courier: Delivery;
  readonly signer: DkimSigner;
  readonly spool: Spool;
  readonly stateDir: string;
}

let router: Router | undefined;
let control: ControlServer | undefined;
let brokenTimes = 0;
const log = jsonLog('router', 1, wall);
const task = new Task<ToRouter, FromRouter>(oldestUnanswered);
const teller = new QueueTeller((message) => task.tell(message));

giveWay();
task.serve({
  configure,
  start,
  materials: ({ materials }) => {
    if (!router) return;
    const isConcerned = router.courier.useMaterials(materials);
    const areKeysNew = router.signer.use(materials);
    router.manager.materialsChanged(isConcerned, areKeysNew);
  },
  entered: ({ ids }) => enter(ids),
  look,
  drain: ({ deadlineMs }) => task.leave(() => drain(deadlineMs)),
});

function giveWay(): void {
  try {
    setPriority(NICENESS);
  } catch {
    // A sandbox may know no priorities; then all wait alike.
  }
}

function configure({ policy, materials, stateDir }: Extract<ToRouter, { kind: 'configure' }>): void {
  const onSync = () => router?.manager.counters.add('spool_syncs', 'router');
  const spool = new Spool(stateDir, onSync, 'early', {
    onRecovered: (recovered) => {
      log('spool_recovered', { ...recovered });
      // What was entered meanwhile, and reports whose writing was not seen to succeed.
      setImmediate(look);
    },
  });
  const tracer = traceOf(policy.trace, lineWriter(1), wall);
  const courier = Delivery.overSmtp(policy, materials, tracer);
  const signer = new DkimSigner(policy, materials, log);
  const sign: DkimSigner['sign'] = (message) => signer.sign(message);
  const { random } = Math;
  // Whole milliseconds cost less memory.
  const clock = () => Math.round(monotonic());
  const manager = new QueueManager({ policy, spool, courier, signer: sign, log, clock, wall, random });
  router = { manager, courier, signer, spool, stateDir };
}

async function start(): Promise<void> {
  if (!router) return;
  setInterval(tell, TELL_MS);
  void router.manager.start();
  try {
    const tools = new QueueTools(router.manager, router.spool);
    control = await serveControl(join(router.stateDir, CONTROL_SOCKET), tools);
  } catch (error) {
    // Mail flows without it.
    log('no_queue_tools', { message: (error as Error).message });
  }
}

function enter(ids: readonly string[]): void {
  for (const id of ids) router?.manager.add(id);
  // Whoever took them has counted them, and hears of it even where they are gone by the next time.
  teller.forget();
}

function look(): void {
  void router?.manager.look().then(() => teller.forget());
}

function tell(): void {
  if (!router) return;
  lookAtStore(router.spool);
  if (!router.spool.isBroken) teller.tell(router.manager);
}

/** A store that cannot be recovered from here: another process may, and begins with all that is in it. */
function lookAtStore({ fault }: Spool): void {
  brokenTimes = fault === undefined ? 0 : brokenTimes + 1;
  if (brokenTimes < BROKEN_TIMES) return;
  log('spool_broken', { message: fault });
  process.exit(1);
}

async function drain(deadlineMs: number): Promise<void> {
  control?.retire();
  await router?.manager.drain(deadlineMs);
  tell();
  control?.close();
  await router?.spool.close();
}
