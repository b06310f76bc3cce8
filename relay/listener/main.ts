/**
 * The listener process. It gets everything over the channel of its supervisor. When the channel closes, this process
 * ends, because without a router nobody would deliver the accepted mail.
 */
import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { SessionsOfProcess } from '#crds/sessions.ts';
import { jsonLog, lineWriter } from '../observe/log.ts';
import { makeTracer } from '../observe/trace.ts';
import { diskPulse } from '../spool/spool.ts';
import { Task } from '../task/bootstrap.ts';
import { CLOCKS, monotonic, wall } from '../task/clock.ts';
import { Counters } from '../task/counts.ts';
import {
  type FromListener,
  type ListenerReports,
  type MailForNobody,
  NO_REPORTS,
  type RefusedClient,
  type ToListener,
} from '../task/messages.ts';
import { describeOldest } from '../task/sessionlist.ts';
import { CountedElsewhere } from './countedelsewhere.ts';
import { type Intake, openIntake } from './intake.ts';
import { ListenerTask } from './task.ts';

const TELL_MS = 250;
const IDLE_LOOK_MS = 50;
/** After the deadline: how long a message on its way to disk may wait for its reply. */
const LEAVE_MS = 8_000;
/** After an I/O error: how long open sessions may continue. Each message gets 451. */
const BROKEN_MS = 30_000;
/** A plain-text client is reported again after this time. */
const PLAINTEXT_EVERY_MS = 3_600_000;
const PLAINTEXT_CLIENTS = 10_000;

const log = jsonLog('listener', 1, wall);
const counters = new Counters();
const task = new Task<ToListener, FromListener>(diskPulse);
const onEntered = task.gather<string>((ids) => ({ kind: 'entered', ids }));
const onNowhere = task.gather<MailForNobody>((mail) => ({ kind: 'nowhere', mail }));
const onEnded = task.gather<string>((clients) => ({ kind: 'ended', clients }));
const counted = new CountedElsewhere((ask, of, who) => task.tell({ kind: 'count', ask, of, who }));

let listener: ListenerTask | undefined;
let intake: Intake | undefined;
let brokenTold = false;
let reportsTold = NO_REPORTS;
let drainEnd: number | undefined;
let deadline: NodeJS.Timeout | undefined;
/** Since the last message, by reason. */
const refusedClients = new Map<string, RefusedClient>();
const plaintextTold = new Map<string, number>();

task.serve(
  {
    configure,
    pairs: ({ pairs }) => listener?.usePairs(pairs),
    ticketKeys: ({ keys }) => listener?.useTicketKeys(keys),
    materials: ({ materials }) => {
      listener?.useMaterials(materials);
      intake?.useMaterials(materials);
    },
    queue: (figures) => intake?.learnQueue(figures),
    counted: ({ ask, count }) => counted.answered(ask, count),
    connection: receive,
    drain: ({ deadlineMs }) => drain(deadlineMs),
  },
  listSessions,
);

function configure(message: Extract<ToListener, { kind: 'configure' }>): void {
  const { policy, pairs, materials, ticketKeys, stateDir } = message;
  log.obey(policy.logging, stateDir);
  const tracer = makeTracer(policy.trace, lineWriter(1), wall);
  const taking = openIntake(policy, materials, stateDir, { log, tracer, counters, onEntered, onNowhere });
  intake = taking;
  listener = new ListenerTask({
    policy,
    pairs,
    materials,
    ticketKeys,
    take: (stream, arrival) => taking.take(stream, arrival),
    isSuppressed: taking.isSuppressed,
    refusalOfMore: (bytes) => taking.refusalOfMore(bytes),
    countMessage: (of, who) => counted.count(of, who),
    counters,
    log,
    tracer,
    clocks: CLOCKS,
    onPlaintext: tellPlaintext,
    onRefused: ({ rule, client, helo }) => refusedClients.set(rule, { reason: rule, client, helo }),
  });
  setInterval(tell, TELL_MS);
}

function receive(
  { listener: name, client, countedAs, early }: Extract<ToListener, { kind: 'connection' }>,
  socket: Socket | undefined,
): void {
  // The client may have disconnected while the socket was on its way.
  if (!socket || !listener) {
    onEnded(countedAs);
    return;
  }
  if (early !== undefined) socket.unshift(Buffer.from(early, 'base64'));
  listener.receive(name, client, socket, () => onEnded(countedAs));
}

/** A client may have written an address where the log shows none. */
function listSessions(): SessionsOfProcess {
  const [inbound, moreInbound] = describeOldest(listener?.list() ?? []);
  const [outbound, moreOutbound] = describeOldest(intake?.connections ?? []);
  const hidden = inbound.map((one) => ({
    ...one,
    ...log.hide({ helo: one.helo, login: one.login, certificate: one.certificate }),
  }));
  return { inbound: hidden, moreInbound, outbound, moreOutbound };
}

function tell(): void {
  const counts = counters.take();
  if (counts) task.tell({ kind: 'counts', ...counts, refused: [...refusedClients.values()] });
  refusedClients.clear();
  tellReports(intake ?? NO_REPORTS);
  const fault = intake?.lastingFault();
  if (fault === undefined || brokenTold) return;
  brokenTold = true;
  log('spool_broken', { message: fault });
  task.tell({ kind: 'broken' });
  drain(BROKEN_MS);
}

function tellPlaintext(client: string, helo: string, isRefused: boolean): void {
  const key = `${isRefused} ${client} ${helo}`;
  const last = plaintextTold.get(key);
  if (last !== undefined && monotonic() - last < PLAINTEXT_EVERY_MS) return;
  if (plaintextTold.size >= PLAINTEXT_CLIENTS) plaintextTold.clear();
  plaintextTold.set(key, monotonic());
  task.tell({ kind: 'plaintext', client, helo, isRefused });
}

function tellReports({ logins, filterFailure }: ListenerReports): void {
  const reports = { logins, filterFailure };
  if (isDeepStrictEqual(reports, reportsTold)) return;
  reportsTold = reports;
  task.tell({ kind: 'reports', reports });
}

/** A later call can only shorten the deadline. */
function drain(deadlineMs: number): void {
  const end = monotonic() + deadlineMs;
  if (drainEnd !== undefined && end >= drainEnd) return;
  if (drainEnd === undefined) leaveWhenIdle();
  drainEnd = end;
  clearTimeout(deadline);
  deadline = setTimeout(() => {
    listener?.endAll();
    setTimeout(leave, LEAVE_MS);
  }, deadlineMs);
}

function leaveWhenIdle(): void {
  const looking = setInterval(() => {
    if (listener && listener.openSessions > 0) return;
    clearInterval(looking);
    clearTimeout(deadline);
    leave();
  }, IDLE_LOOK_MS);
}

function leave(): void {
  void task.leave(async () => {
    tell();
    await intake?.close();
  });
}
