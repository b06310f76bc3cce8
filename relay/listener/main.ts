/**
 * The listener process. Everything it does comes over the channel of its supervisor; when that goes away, so does
 * this process, because a listener without a router would take mail that nobody delivers.
 */
import type { Socket } from 'node:net';
import { jsonLog } from '../log.ts';
import type { FromListener, ToListener } from '../messages.ts';
import { Spool } from '../spool/spool.ts';
import { ListenerTask } from './task.ts';

const REPORT_MS = 250;
/** A moment for the last replies to leave. */
const LEAVE_MS = 500;

let task: ListenerTask | undefined;
let spool: Spool | undefined;
let entered: string[] = [];
let ended: string[] = [];

process.on('message', (message: ToListener, socket?: Socket) => handle(message, socket));
process.on('disconnect', () => process.exit(0));
// The supervisor decides when to stop; a signal to the whole group must not cut sessions short.
process.on('SIGTERM', () => undefined);
process.on('SIGINT', () => undefined);

function tell(message: FromListener): void {
  process.send?.(message);
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

function handle(message: ToListener, socket?: Socket): void {
  switch (message.kind) {
    case 'configure':
      configure(message);
      break;
    case 'pair':
      task?.usePair(message.pair);
      break;
    case 'connection':
      receive(message.listener, message.client, socket);
      break;
    case 'drain':
      drain(message.deadlineMs);
      break;
    default:
      message satisfies never;
  }
}

function receive(listener: string, client: string, socket: Socket | undefined): void {
  // The client may have gone while the socket was on its way.
  if (socket && task) task.receive(listener, client, socket, () => collectEnded(client));
  else collectEnded(client);
}

function configure(message: Extract<ToListener, { kind: 'configure' }>): void {
  const log = jsonLog('listener', 1, Date.now);
  try {
    spool = new Spool(message.stateDir);
    task = new ListenerTask(message.policy, message.pair, {
      spool,
      log,
      clock: Date.now,
      onEntered: collectEntered,
      onPlaintext: (client) => tell({ kind: 'plaintext', client }),
    });
    tell({ kind: 'ready' });
    setInterval(report, REPORT_MS);
  } catch (error) {
    tell({ kind: 'failed', message: (error as Error).message });
  }
}

function report(): void {
  const counts = task?.counters.takeChanged();
  if (counts) tell({ kind: 'counts', counts });
}

function drain(deadlineMs: number): void {
  const deadline = setTimeout(() => {
    task?.endAll();
    setTimeout(leave, LEAVE_MS);
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
  flush();
  await spool?.close();
  // Disconnecting flushes what was sent, and ends the process.
  process.disconnect?.();
}
