/**
 * The router process. It starts beside the router before it, and begins only after that one has released the queue, so
 * no message is delivered twice. It ends with its supervisor.
 */
import { setPriority } from 'node:os';
import { join } from 'node:path';
import type { Policy } from '#crds/policyfile.ts';
import { NO_SESSIONS, type SessionsOfProcess } from '#crds/sessions.ts';
import { CONTROL_SOCKET } from '#crds/wellknown.ts';
import { Delivery } from '../delivery/delivery.ts';
import { DkimSigner } from '../dkim/signer.ts';
import { type EventSender, openEvents } from '../events/events.ts';
import type { History } from '../history/history.ts';
import { jsonLog, lineWriter } from '../observe/log.ts';
import { makeTracer } from '../observe/trace.ts';
import { type ControlServer, serveControl } from '../queue/control.ts';
import { QueueManager } from '../queue/manager.ts';
import { QueueTools } from '../queue/tools.ts';
import { diskPulse, Spool } from '../spool/spool.ts';
import { SuppressionList } from '../suppression/suppressionlist.ts';
import { Task } from '../task/bootstrap.ts';
import { monotonic, wall } from '../task/clock.ts';
import { endIfBroken } from '../task/endifbroken.ts';
import { type Materials, NO_MATERIALS } from '../task/materials.ts';
import type { FromRouter, ToRouter } from '../task/messages.ts';
import { QueueTeller } from '../task/queueteller.ts';
import { describeOldest } from '../task/sessionlist.ts';
import type { TlsReports } from '../tlsrpt/tlsreports.ts';
import { answerFrom, keepMailForNobody, openHistory } from './history.ts';
import { makeRecorder } from './recorder.ts';
import { type Inboxes, openInboxes, openReports, takeReport } from './reports.ts';

const TELL_MS = 500;
/**
 * With too little CPU time for both, the listeners run first: clients wait for them, and nobody waits for the router.
 */
const NICENESS = 10;

interface Router {
  readonly policy: Policy;
  materials: Materials;
  readonly manager: QueueManager;
  readonly courier: Delivery;
  readonly signer: DkimSigner;
  readonly spool: Spool;
  readonly stateDir: string;
}

let router: Router | undefined;
let control: ControlServer | undefined;
let reports: TlsReports | undefined;
let inboxes: Inboxes | undefined;
let history: History | undefined;
let events: EventSender | undefined;
let suppression: SuppressionList | undefined;
/** Before that, the figures would tell of a shorter queue than there is. */
let isLoaded = false;
const log = jsonLog('router', 1, wall);
const task = new Task<ToRouter, FromRouter>(diskPulse);
const teller = new QueueTeller(
  (message) => task.tell(message),
  ({ message }) => log('spool_not_read', { message }),
);

giveWay();
task.serve(
  {
    configure,
    start,
    materials: ({ materials }) => {
      if (!router) return;
      router.materials = materials;
      const isConcerned = router.courier.useMaterials(materials);
      const areKeysNew = router.signer.use(materials);
      router.manager.materialsChanged(isConcerned, areKeysNew);
    },
    entered: ({ ids }) => enter(ids),
    nowhere: ({ mail }) => history && keepMailForNobody(history, mail),
    look,
    drain: ({ deadlineMs }) => {
      // A relay that stops gives less time than the evacuation that it has begun.
      void router?.manager.drain(deadlineMs);
      return task.leave(() => drain(deadlineMs));
    },
  },
  listSessions,
);

function giveWay(): void {
  try {
    setPriority(NICENESS);
  } catch {
    // A sandbox may have no priorities. Then all processes are equal.
  }
}

function configure({ policy, materials, kept, stateDir }: Extract<ToRouter, { kind: 'configure' }>): void {
  log.obey(policy.logging, stateDir);
  const onSync = () => router?.manager.counters.add('spool_syncs', 'router');
  const spool = new Spool(stateDir, onSync, 'early', {
    onRecovered: (recovered) => {
      log('spool_recovered', { ...recovered });
      // Loads messages that were entered meanwhile, and reports whose write was not confirmed.
      setImmediate(look);
    },
  });
  const tracer = makeTracer(policy.trace, lineWriter(1), wall);
  const count = (counter: string, label: string) => router?.manager.counters.add(counter, label);
  const courier = Delivery.overSmtp(policy, materials, {
    tracer,
    log,
    count,
    stateDir,
    onSession: (session) => reports?.seen(session),
    takeReport: (parcel, reports) => takeReport(inboxes, parcel, reports),
    kept,
    onKept: (now) => task.tell({ kind: 'kept', kept: now }),
    onRefused: (refused) => task.tell({ kind: 'refused', refused }),
    onTaken: (isConcerned) => router?.manager.materialsChanged(isConcerned, false),
  });
  const signer = new DkimSigner(policy, materials, log, (reason) => count('not_signed', reason));
  const sign: DkimSigner['sign'] = (message) => signer.sign(message);
  const { random } = Math;
  // Whole milliseconds need less memory.
  const clock = () => Math.round(monotonic());
  const manager = new QueueManager({
    policy,
    spool,
    courier,
    signer: sign,
    log,
    clock,
    wall,
    random,
    recorder: makeRecorder(policy, () => ({ history, suppression })),
  });
  router = { policy, materials, manager, courier, signer, spool, stateDir };
}

async function start({ refused }: Extract<ToRouter, { kind: 'start' }>): Promise<void> {
  if (!router) return;
  const { policy, stateDir, manager, spool, courier } = router;
  setInterval(tell, TELL_MS);
  courier.rememberRefused(refused);
  // Before the first delivery, which is counted.
  const materials = () => router?.materials ?? NO_MATERIALS;
  const deps = { policy, stateDir, log, manager, spool, names: courier.names, materials };
  reports = openReports(deps);
  history = openHistory(deps);
  inboxes = openInboxes(deps, history);
  events = openEvents({ ...deps, counters: manager.counters });
  const { suppression: terms } = policy.queue;
  if (terms) suppression = new SuppressionList({ terms, recipients: spool.suppressions, log, wall });
  void router.manager.start();
  router.manager.loaded.then(() => {
    isLoaded = true;
  });
  try {
    control = await serveControl(join(router.stateDir, CONTROL_SOCKET), {
      queue: new QueueTools(router.manager, router.spool),
      history: history && answerFrom(history),
      suppressed: suppression,
    });
  } catch (error) {
    // Mail flows without the queue tools.
    log('no_queue_tools', { message: (error as Error).message });
  }
}

function enter(ids: readonly string[]): void {
  for (const id of ids) router?.manager.add(id);
  // The listeners have counted these messages. So the next figures are sent even if the messages are gone by then.
  teller.forget();
}

function listSessions(): SessionsOfProcess {
  const [outbound, moreOutbound] = describeOldest(router?.courier.connections ?? []);
  return { ...NO_SESSIONS, outbound, moreOutbound };
}

function look(): void {
  void router?.manager.look().then(() => teller.forget());
}

function tell(): void {
  if (!router) return;
  const { spool, manager } = router;
  endIfBroken(spool, log);
  if (spool.isBroken) return;
  const read = () => ({
    ...manager.figures,
    tlsReports: inboxes?.tlsReports?.lastDay,
    events: events?.figures,
    history: history?.figures,
  });
  teller.tell(manager.counters, isLoaded ? read : undefined);
}

async function drain(deadlineMs: number): Promise<void> {
  control?.retire();
  inboxes?.tlsReports?.stop();
  inboxes?.feedbackReports?.stop();
  await router?.manager.drain(deadlineMs);
  await router?.courier.close();
  await reports?.close();
  await inboxes?.tlsReports?.close();
  history?.close();
  await events?.close();
  suppression?.close();
  tell();
  control?.close();
  await router?.spool.close();
}
