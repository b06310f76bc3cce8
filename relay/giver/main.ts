/**
 * The process of the giving end. It stands in the place of the router while a pod leaves: it begins when the router has
 * let go of the queue, and lets go itself when it is told to drain. Ends with its supervisor.
 */

import { Giver } from '../handover/giver.ts';
import { Sibling } from '../handover/sibling.ts';
import { jsonLog } from '../observe/log.ts';
import { Spool } from '../spool/spool.ts';
import type { FromRouter, ToRouter } from '../task/messages.ts';
import { shareOwnership } from '../task/owner.ts';

const REPORT_MS = 500;

let giver: Giver | undefined;
let spool: Spool | undefined;
let reported = '';
const log = jsonLog('giver', 1, Date.now);

process.on('message', (message: ToRouter) => handle(message));
process.on('disconnect', () => process.exit(0));
// The supervisor decides when to stop.
process.on('SIGTERM', () => undefined);
process.on('SIGINT', () => undefined);

function tell(message: FromRouter): void {
  if (process.connected) process.send?.(message);
}

function handle(message: ToRouter): void {
  if (message.kind === 'configure') configure(message);
  if (message.kind === 'start') start();
  if (message.kind === 'drain') void drain();
}

function configure({ stateDir, handover }: Extract<ToRouter, { kind: 'configure' }>): void {
  try {
    if (!handover) throw new TypeError('a giver needs siblings');
    shareOwnership(stateDir);
    spool = new Spool(stateDir);
    const siblings = handover.siblings.map((address) => new Sibling(address, handover.pair, Date.now));
    giver = new Giver({ spool, siblings, log, clock: Date.now });
    tell({ kind: 'ready' });
  } catch (error) {
    tell({ kind: 'failed', message: (error as Error).message });
  }
}

function start(): void {
  giver?.start();
  setInterval(report, REPORT_MS);
}

function report(): void {
  if (!giver) return;
  const counted = giver.counters.take();
  if (counted) tell({ kind: 'counts', ...counted });
  const { figures } = giver;
  const text = JSON.stringify(figures);
  if (text !== reported) tell({ kind: 'queue', figures });
  reported = text;
}

async function drain(): Promise<void> {
  await giver?.drain();
  report();
  await spool?.close();
  process.disconnect?.();
}
