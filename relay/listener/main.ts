/**
 * The listener process. Everything it does comes over the channel of its supervisor; when that goes away, so does
 * this process, because a listener without a router would take mail that nobody delivers.
 */
import type { Socket } from 'node:net';
import { jsonLog, type Log } from '../log.ts';
import type { FromListener, ToListener } from '../messages.ts';
import { Spool } from '../spool/spool.ts';
import { ListenerTask } from './task.ts';

const REPORT_MS = 250;

let task: ListenerTask | undefined;
let spool: Spool | undefined;
let log: Log = () => undefined;
let entered: string[] = [];
let reportedOpen = -1;

process.on('message', (message: ToListener, socket?: Socket) => handle(message, socket));
process.on('disconnect', () => process.exit(0));
// The supervisor decides when to stop; a signal to the whole group must not cut sessions short.
process.on('SIGTERM', () => undefined);
process.on('SIGINT', () => undefined);

function tell(message: FromListener): void {
  if (message.kind !== 'entered') {
    process.send?.(message);
    return;
  }
  // Ids that become durable together travel together.
  if (entered.length === 0) setImmediate(flushEntered);
  entered.push(...message.ids);
}

function flushEntered(): void {
  process.send?.({ kind: 'entered', ids: entered } satisfies FromListener);
  entered = [];
}

function handle(message: ToListener, socket?: Socket): void {
  switch (message.kind) {
    case 'configure':
      configure(message);
      break;
    case 'pair':
      task?.usePair(message.pair);
      break;
    case 'connection':
      // The client may have gone while the socket was on its way.
      if (socket) task?.receive(message.listener, socket);
      break;
    case 'drain':
      drain(message.deadlineMs);
      break;
    default:
      message satisfies never;
  }
}

function configure(message: Extract<ToListener, { kind: 'configure' }>): void {
  log = jsonLog('listener', message.logFd, Date.now);
  try {
    spool = new Spool(message.stateDir);
    task = new ListenerTask(message.policy, message.pair, {
      spool,
      log,
      clock: Date.now,
      processes: message.processes,
      tell,
    });
    tell({ kind: 'ready' });
    setInterval(report, REPORT_MS);
  } catch (error) {
    tell({ kind: 'failed', message: (error as Error).message });
  }
}

function report(): void {
  if (!task) return;
  const open = task.openSessions;
  if (open !== reportedOpen) tell({ kind: 'sessions', open });
  reportedOpen = open;
  const counts = task.counters.takeChanged();
  if (counts) tell({ kind: 'counts', counts });
}

function drain(deadlineMs: number): void {
  const deadline = setTimeout(() => {
    task?.endAll();
    // A moment for the 421s to leave.
    setTimeout(leave, 500);
  }, deadlineMs);
  const poll = setInterval(() => {
    if (task && task.openSessions > 0) return;
    clearTimeout(deadline);
    clearInterval(poll);
    leave();
  }, 50);
}

async function leave(): Promise<void> {
  report();
  if (entered.length > 0) flushEntered();
  await spool?.close();
  // Disconnecting flushes what was sent, and ends the process.
  process.disconnect?.();
}
