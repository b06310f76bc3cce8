/**
 * The router process. It comes up beside the one before it and begins only when it is told that the other has let go
 * of the queue, so that no message is delivered by both. Ends with its supervisor.
 */
import { jsonLog } from '../log.ts';
import type { FromRouter, ToRouter } from '../messages.ts';
import { Spool } from '../spool/spool.ts';
import { shareOwnership } from '../supervisor/owner.ts';
import { Runner } from './runner.ts';
import { SmtpCourier } from './smtp.ts';

const REPORT_MS = 500;

let runner: Runner | undefined;
let courier: SmtpCourier | undefined;
let spool: Spool | undefined;
let reported = '';
const log = jsonLog('router', 1, Date.now);

process.on('message', (message: ToRouter) => handle(message));
process.on('disconnect', () => process.exit(0));
// The supervisor decides when to stop.
process.on('SIGTERM', () => undefined);
process.on('SIGINT', () => undefined);

function tell(message: FromRouter): void {
  process.send?.(message);
}

function handle(message: ToRouter): void {
  switch (message.kind) {
    case 'configure':
      configure(message);
      break;
    case 'trust':
      useTrust(message.trust);
      break;
    case 'start':
      void runner?.start();
      setInterval(report, REPORT_MS);
      break;
    case 'entered':
      for (const id of message.ids) runner?.add(id);
      break;
    case 'drain':
      void drain(message.deadlineMs);
      break;
    default:
      message satisfies never;
  }
}

function configure(message: Extract<ToRouter, { kind: 'configure' }>): void {
  try {
    shareOwnership(message.stateDir);
    spool = new Spool(message.stateDir);
    courier = new SmtpCourier(message.policy.hostname, message.trust);
    const { policy } = message;
    runner = new Runner({ policy, spool, courier, log, clock: Date.now, random: Math.random });
    tell({ kind: 'ready' });
  } catch (error) {
    tell({ kind: 'failed', message: (error as Error).message });
  }
}

/** A bundle that cannot be read never replaces one that could. */
function useTrust(trust: string | null): void {
  try {
    courier?.useTrust(trust);
  } catch (error) {
    log('trust_not_taken', { message: (error as Error).message });
  }
}

function report(): void {
  if (!runner) return;
  const counts = runner.counters.take();
  if (counts) tell({ kind: 'counts', counts });
  const { figures } = runner;
  const text = JSON.stringify(figures);
  if (text !== reported) tell({ kind: 'queue', figures });
  reported = text;
}

async function drain(deadlineMs: number): Promise<void> {
  await runner?.drain(deadlineMs);
  report();
  await spool?.close();
  process.disconnect?.();
}
