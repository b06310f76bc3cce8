/**
 * The process of the receiving end: begun by the first connection of a sibling, and at its end when none has come for a
 * while, so that it costs nothing at rest. Ends with its supervisor too, and after an error of the disk.
 */
import type { Socket } from 'node:net';
import { Receiver } from '../handover/receiver.ts';
import { jsonLog } from '../observe/log.ts';
import { Spool } from '../spool/spool.ts';
import type { FromReceiver, ToReceiver } from '../task/messages.ts';
import { shareOwnership } from '../task/owner.ts';

const LOOK_MS = 1_000;
const IDLE_LOOKS = 30;

let receiver: Receiver | undefined;
let spool: Spool | undefined;
let idleLooks = 0;
let entered: string[] = [];
const log = jsonLog('receiver', 1, Date.now);

process.on('message', (message: ToReceiver, socket?: Socket) => handle(message, socket));
process.on('disconnect', () => process.exit(0));
// The supervisor decides when to stop.
process.on('SIGTERM', () => undefined);
process.on('SIGINT', () => undefined);

function tell(message: FromReceiver): void {
  if (process.connected) process.send?.(message);
}

function handle(message: ToReceiver, socket?: Socket): void {
  switch (message.kind) {
    case 'configure':
      configure(message);
      break;
    case 'pair':
      receiver?.usePair(message.pair);
      break;
    case 'connection':
      idleLooks = 0;
      if (socket) receiver?.receive(socket);
      break;
    case 'drain':
      void leave();
      break;
    default:
      message satisfies never;
  }
}

function configure({ stateDir, pair }: Extract<ToReceiver, { kind: 'configure' }>): void {
  try {
    shareOwnership(stateDir);
    spool = new Spool(stateDir);
    receiver = new Receiver({ spool, pair, log, onEntered: collect });
    setInterval(look, LOOK_MS);
    tell({ kind: 'ready' });
  } catch (error) {
    tell({ kind: 'failed', message: (error as Error).message });
  }
}

/** Ids that become durable together travel together. */
function collect(id: string): void {
  if (entered.push(id) > 1) return;
  setImmediate(() => {
    tell({ kind: 'entered', ids: entered });
    entered = [];
  });
}

function look(): void {
  idleLooks = receiver?.connections === 0 ? idleLooks + 1 : 0;
  if (idleLooks >= IDLE_LOOKS || spool?.isBroken) void leave();
}

async function leave(): Promise<void> {
  await receiver?.drain();
  // What was collected is on its way before the channel closes.
  setImmediate(() => setImmediate(() => process.disconnect?.()));
}
