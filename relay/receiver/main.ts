/**
 * The process of the receiving side. The first connection of a sibling starts it, and it ends some time after the last
 * connection and entry, so it costs nothing at rest. It also ends with its supervisor, and after a disk error that stays.
 */
import type { Socket } from 'node:net';
import { Receiver } from '../handover/receiver.ts';
import { keepForRouter } from '../mtasts/handover.ts';
import { jsonLog } from '../observe/log.ts';
import { diskPulse, Spool } from '../spool/spool.ts';
import { Task } from '../task/bootstrap.ts';
import { wall } from '../task/clock.ts';
import type { FromReceiver, ToReceiver } from '../task/messages.ts';

const LOOK_MS = 1_000;
const IDLE_LOOKS = 30;

const log = jsonLog('receiver', 1, wall);
const task = new Task<ToReceiver, FromReceiver>(diskPulse);
const onEntered = task.gather<string>((ids) => ({ kind: 'entered', ids }));
let parts: { readonly receiver: Receiver; readonly spool: Spool } | undefined;
let idleLooks = 0;
let isLeaving = false;

task.serve({
  configure,
  pair: ({ pair }) => parts?.receiver.usePair(pair),
  connection: (_message, socket) => receive(socket),
  drain: leave,
});

function configure({ stateDir, pair, logging }: Extract<ToReceiver, { kind: 'configure' }>): void {
  log.obey(logging, stateDir);
  const spool = new Spool(stateDir);
  const keepPolicies = (text: string) => keepForRouter(stateDir, text);
  parts = { spool, receiver: new Receiver({ spool, pair, log, onEntered, keepPolicies }) };
  setInterval(look, LOOK_MS);
}

function receive(socket: Socket | undefined): void {
  idleLooks = 0;
  if (socket) parts?.receiver.receive(socket);
}

function look(): void {
  idleLooks = parts?.receiver.isIdle ? idleLooks + 1 : 0;
  const fault = parts?.spool.lastingFault();
  if (fault !== undefined && !isLeaving) log('spool_broken', { message: fault });
  if (fault !== undefined || idleLooks >= IDLE_LOOKS) leave();
}

function leave(): void {
  isLeaving = true;
  void task.leave(drain);
}

async function drain(): Promise<void> {
  await parts?.receiver.drain();
  // What was committed and could not be synced is taken back.
  await parts?.spool.close();
}
