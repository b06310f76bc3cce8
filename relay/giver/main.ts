/**
 * The process of the giving side. It replaces the router while a pod is evacuated. It begins after the router has
 * released the queue, and releases the queue itself when it is told to drain. It ends with its supervisor.
 */

import type { Policy } from '#crds/policyfile.ts';
import { type EventSender, openEvents } from '../events/events.ts';
import { Giver } from '../handover/giver.ts';
import { Sibling } from '../handover/sibling.ts';
import { CACHE_FILE, readForSibling } from '../mtasts/handover.ts';
import { jsonLog } from '../observe/log.ts';
import { diskPulse, Spool } from '../spool/spool.ts';
import { Task } from '../task/bootstrap.ts';
import { monotonic, wall } from '../task/clock.ts';
import { endIfBroken } from '../task/endifbroken.ts';
import { type Materials, NO_MATERIALS } from '../task/materials.ts';
import type { FromRouter, ToRouter } from '../task/messages.ts';
import { QueueTeller } from '../task/queueteller.ts';

const TELL_MS = 500;

const log = jsonLog('giver', 1, wall);
const task = new Task<ToRouter, FromRouter>(diskPulse);
const teller = new QueueTeller(
  (message) => task.tell(message),
  ({ message }) => log('spool_not_read', { message }),
);
let parts: { readonly giver: Giver; readonly spool: Spool; readonly policy: Policy } | undefined;
let materials: Materials = NO_MATERIALS;
let events: EventSender | undefined;

task.serve({
  configure,
  // The giver reads the whole queue by itself at intervals.
  look: () => undefined,
  entered: () => undefined,
  nowhere: () => undefined,
  materials: (message) => {
    materials = message.materials;
  },
  start,
  drain: () => task.leave(drain),
});

function configure(message: Extract<ToRouter, { kind: 'configure' }>): void {
  const { policy, stateDir, handover } = message;
  if (!handover) throw new TypeError('a giver needs siblings');
  log.obey(policy.logging, stateDir);
  const spool = new Spool(stateDir);
  const siblings = handover.siblings.map((address) => new Sibling(address, handover.pair, monotonic));
  materials = message.materials;
  const onError = (error: Error) => log('not_kept', { what: CACHE_FILE, message: error.message });
  // Read with the first offer: the router before this process writes its last changes when it ends.
  const readPolicies = () =>
    policy.outbound.discover.includes('MTASTS') ? readForSibling(stateDir, wall(), onError) : null;
  parts = { spool, policy, giver: new Giver({ spool, siblings, log, clock: monotonic, readPolicies }) };
}

function start(): void {
  if (!parts) return;
  const { giver, spool, policy } = parts;
  giver.start();
  events = openEvents({ policy, spool, log, counters: giver.counters, materials: () => materials });
  setInterval(tell, TELL_MS);
}

function tell(): void {
  if (!parts) return;
  endIfBroken(parts.spool, log);
  if (parts.spool.isBroken) return;
  const { giver } = parts;
  teller.tell(giver.counters, () => ({ ...giver.figures, events: events?.figures }));
}

async function drain(): Promise<void> {
  await parts?.giver.drain();
  await events?.close();
  tell();
  await parts?.spool.close();
}
