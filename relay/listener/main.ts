/**
 * The listener process. Everything it does comes over the channel of its supervisor; when that goes away, so does
 * this process, because a listener without a router would take mail that nobody delivers.
 */
import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { jsonLog, lineWriter } from '../observe/log.ts';
import { traceOf } from '../observe/trace.ts';
import { Counters } from '../task/counts.ts';
import type { FromListener, LoginsRefused, ToListener } from '../task/messages.ts';
import { shareOwnership } from '../task/owner.ts';
import { CountedElsewhere } from './countedelsewhere.ts';
import { type Intake, intakeOf } from './intake.ts';
import { ListenerTask } from './task.ts';

const REPORT_MS = 250;
/** After the deadline: how long a message that is on its way to disk may take to hear its reply. */
const LEAVE_MS = 8_000;
/** After an I/O error: how long open sessions may go on, each message answered 451. */
const BROKEN_MS = 30_000;
/** A client in plain text is told again after this long. */
const PLAINTEXT_EVERY_MS = 3_600_000;
const PLAINTEXT_CLIENTS = 10_000;

const log = jsonLog('listener', 1, Date.now);
const counters = new Counters();

let task: ListenerTask | undefined;
let intake: Intake | undefined;
let entered: string[] = [];
let ended: string[] = [];
let brokenTold = false;
let loginsTold: LoginsRefused = [];
let draining = false;
let drainEnd = 0;
let deadline: NodeJS.Timeout | undefined;
let leaving = false;
const plaintextTold = new Map<string, number>();
const counted = new CountedElsewhere((ask, of, who) => tell({ kind: 'count', ask, of, who }));

process.on('message', (message: ToListener, socket?: Socket) => handle(message, socket));
process.on('disconnect', () => process.exit(0));
// The supervisor decides when to stop; a signal to the whole group must not cut sessions short.
process.on('SIGTERM', () => undefined);
process.on('SIGINT', () => undefined);

function tell(message: FromListener): void {
  // Where the channel is gone the process is about to be.
  if (process.connected) process.send?.(message);
}

/** Ids that become durable together travel together, and so do the sessions that end. */
function collectEntered(id: string): void {
  if (entered.push(id) === 1) setImmediate(flush);
}

function collectEnded(client: string): void {
  if (ended.push(client) === 1) setImmediate(flush);
}

function flush(): void {
  if (entered.length > 0) tell({ kind: 'entered', ids: entered });
  if (ended.length > 0) tell({ kind: 'ended', clients: ended });
  entered = [];
  ended = [];
}

function tellPlaintext(client: string, helo: string): void {
  const key = `${client} ${helo}`;
  const last = plaintextTold.get(key);
  if (last !== undefined && Date.now() - last < PLAINTEXT_EVERY_MS) return;
  if (plaintextTold.size >= PLAINTEXT_CLIENTS) plaintextTold.clear();
  plaintextTold.set(key, Date.now());
  tell({ kind: 'plaintext', client, helo });
}

function tellLogins(refused: LoginsRefused): void {
  if (isDeepStrictEqual(refused, loginsTold)) return;
  loginsTold = refused;
  tell({ kind: 'logins', refused });
}

function handle(message: ToListener, socket?: Socket): void {
  switch (message.kind) {
    case 'configure':
      configure(message);
      break;
    case 'pairs':
      task?.usePairs(message.pairs);
      break;
    case 'materials':
      task?.useMaterials(message.materials);
      intake?.useMaterials(message.materials);
      break;
    case 'queue':
      intake?.learnQueue(message);
      break;
    case 'counted':
      counted.answered(message.ask, message.count);
      break;
    case 'connection':
      receive(message, socket);
      break;
    case 'drain':
      drain(message.deadlineMs);
      break;
    default:
      message satisfies never;
  }
}

function configure(message: Extract<ToListener, { kind: 'configure' }>): void {
  const { policy, pairs, materials, ticketKeys, stateDir } = message;
  try {
    shareOwnership(stateDir);
    const tracer = traceOf(policy.trace, lineWriter(1), Date.now);
    const taking = intakeOf(policy, materials, stateDir, {
      log,
      tracer,
      counters,
      onEntered: collectEntered,
    });
    intake = taking;
    task = new ListenerTask({
      policy,
      pairs,
      materials,
      ticketKeys: Buffer.from(ticketKeys, 'base64'),
      take: (stream, arrival) => taking.take(stream, arrival),
      refusalOfMore: (bytes) => taking.refusalOfMore(bytes),
      countMessage: (of, who) => counted.count(of, who),
      counters,
      log,
      tracer,
      clock: Date.now,
      onPlaintext: tellPlaintext,
    });
    tell({ kind: 'ready' });
    setInterval(report, REPORT_MS);
  } catch (error) {
    tell({ kind: 'failed', message: (error as Error).message });
  }
}

function receive(
  { listener, client, countedAs, early }: Extract<ToListener, { kind: 'connection' }>,
  socket: Socket | undefined,
): void {
  // The client may have gone while the socket was on its way.
  if (!socket || !task) {
    collectEnded(countedAs);
    return;
  }
  if (early !== undefined) socket.unshift(Buffer.from(early, 'base64'));
  task.receive(listener, client, socket, () => collectEnded(countedAs));
}

function report(): void {
  const counts = counters.take();
  if (counts) tell({ kind: 'counts', ...counts });
  tellLogins(intake?.loginsRefused ?? []);
  if (intake?.fault === undefined || brokenTold) return;
  brokenTold = true;
  log('spool_broken', { message: intake.fault });
  tell({ kind: 'broken' });
  drain(BROKEN_MS);
}

/** A later call can only bring the end nearer. */
function drain(deadlineMs: number): void {
  const end = Date.now() + deadlineMs;
  if (draining && end >= drainEnd) return;
  if (!draining) pollUntilIdle();
  draining = true;
  drainEnd = end;
  clearTimeout(deadline);
  deadline = setTimeout(() => {
    task?.endAll();
    setTimeout(leave, LEAVE_MS);
  }, deadlineMs);
}

function pollUntilIdle(): void {
  const poll = setInterval(() => {
    if (task && task.openSessions > 0) return;
    clearInterval(poll);
    clearTimeout(deadline);
    leave();
  }, 50);
}

async function leave(): Promise<void> {
  if (leaving) return;
  leaving = true;
  report();
  flush();
  await intake?.close();
  // Disconnecting flushes what was sent, and ends the process.
  process.disconnect?.();
}
