/**
 * The checks of the queues: mail that waits for a person, a full queue, and mail that cannot be delivered. Mail for a
 * hop of the spec is reported after two minutes without any success. Mail for other domains is reported only when it is
 * old, because there is always some domain that does not answer. Pure.
 */
import type { FailureCause } from '#crds/failure.ts';
import { findHopCure } from '#crds/hopcures.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { type Check, is, type Judged, reported } from './finding.ts';
import { coarse, counted, listed, quoted, verb } from './words.ts';

const HOUR_SECONDS = 3_600;
const STUCK_SECONDS = 120;

type Queue = PodStatus['queue'];
type Wait = NonNullable<Queue['waits']>[number];

export const loginRefused: Check = (world) => {
  const found = findFirst(world, ({ loginsRefused }) => firstByName(loginsRefused));
  if (!found) return undefined;
  const { destination, message } = found.value;
  const others = tellOthers(world, ({ loginsRefused }) => loginsRefused, destination);
  return is(
    'False',
    'LoginRefused',
    `Pod ${found.pod}: Mail for ${destination} is held back: ${quoted(message)}${others}${cure('login', message)}`,
  );
};

/** Part of ConfigurationSound, because mail goes out with the old contents. */
export const secretHeldBack: Check = (world) => {
  const found = findFirst(world, ({ secretsHeldBack }) => firstByName(secretsHeldBack));
  if (!found) return undefined;
  const { destination, message } = found.value;
  const others = tellOthers(world, ({ secretsHeldBack = [] }) => secretsHeldBack, destination);
  const text = `Pod ${found.pod}: ${destination}: ${quoted(message)}${others}`;
  return is('False', 'SecretHeldBack', `${text}: correct the Secret, or let the hop know its new contents`);
};

/** Part of ConfigurationSound, because mail does not wait for events. */
export const eventsNotTaken: Check = (world) => {
  const found = findFirstReport(world, ({ events }) =>
    events && (events.failure !== null || events.hasDropped) ? events : undefined,
  );
  if (!found) return undefined;
  const { waiting, failure, hasDropped } = found.value;
  const why = failure === null ? 'It is too slow' : quoted(failure);
  const waits = waiting > 0 ? [`${counted(coarse(waiting), 'event')} ${verb(waiting, 'waits', 'wait')}`] : [];
  const dropped = hasDropped ? ['older ones were dropped'] : [];
  const rest = [why, listed([...waits, ...dropped])].filter((part) => part !== '').join(': ');
  const text = `Pod ${found.pod}: The receiver of events.webhook does not take its events: ${rest}`;
  return is('False', 'EventsNotTaken', `${text}: mend the receiver, or events.webhook and its Secret`);
};

/** Part of ConfigurationSound, because mail does not wait for its history. */
export const historyNotWritten: Check = (world) => {
  const found = findFirstReport(world, ({ history }) => history?.failure ?? undefined);
  if (!found) return undefined;
  const text = `Pod ${found.pod}: The history lacks mail of the last hour, as it could not be written: ${quoted(found.value)}`;
  return is('False', 'HistoryNotWritten', `${text}: mend or enlarge the volume of the queue`);
};

/** Part of ConfigurationSound, because the relay itself works, and some listeners may not filter. */
export const filterFailing: Check = (world) => {
  const found = findFirstReport(world, ({ filter }) => filter?.failure ?? undefined);
  if (!found) return undefined;
  const text = `Pod ${found.pod}: The content filter judges no message: ${quoted(found.value)}`;
  return is('False', 'FilterFailing', `${text}: mend the filter, or inbound.filter and its Secret`);
};

export const queueFull: Check = (world) => {
  const found = findFirst(world, ({ full }) => full ?? undefined);
  const remedy =
    'raise queue.storage.size, queue.maxSize or queue.maxMessages, or mend what keeps mail from going out';
  return (
    found &&
    is(
      'False',
      'QueueFull',
      `Pod ${found.pod} refuses mail by 452, all of it or what is large: ${found.value}: ${remedy}`,
    )
  );
};

export const mailHeld: Check = (world) => {
  const held = listQueues(world).reduce((sum, queue) => sum + queue.held, 0);
  const text =
    'Mail waits for a person: "mailrelay queue list --held" in the pods has the reason, "mailrelay queue release" lets it go';
  return held > 0 ? is('False', 'MailHeld', text) : undefined;
};

/** No mail goes out to a hop of the spec, or to none of several other destinations. */
export const mailStuck: Check = (world) => {
  const found = findFirst(world, ({ waits, deferrals }) => {
    const stuck = findStuck(waits ?? []);
    return (
      stuck && {
        ...stuck,
        cause: deferrals.find(({ destination }) => destination === stuck.destination)?.cause,
      }
    );
  });
  if (!found) return undefined;
  const { destination, message, cause } = found.value;
  const text = `Pod ${found.pod} gets nothing out to ${destination}: ${quoted(message)}`;
  return is('False', 'MailStuck', `${text}${cure(cause, message)}`);
};

export const mailWaiting: Check = (world) => {
  const found = findFirst(world, (queue) => ((queue.oldestSeconds ?? 0) > HOUR_SECONDS ? queue : undefined));
  if (!found) return undefined;
  const [deferral] = found.value.deferrals;
  const why = deferral
    ? `${deferral.destination}: ${quoted(deferral.message)}${cure(deferral.cause, deferral.message)}`
    : 'see the log of the pod';
  return is('False', 'MailWaiting', `Pod ${found.pod} has mail that waits for more than an hour: ${why}`);
};

export const queueMoving: Check = (world) => {
  const queues = listQueues(world);
  if (queues.every(({ depth }) => depth === 0)) return is('True', 'QueueMoving', 'No mail waits');
  const stuck = new Set(
    queues.flatMap(({ waits = [] }) => waits.filter(isStuck).map((one) => one.destination)),
  );
  // Some domain always takes none. A list of them would be another status each minute.
  const [only] = stuck;
  const those =
    stuck.size === 1 ? `${only}, which takes none` : `${counted(stuck.size, 'destination')} that take none`;
  const cure = '"mailrelay queue list" in the pods says why';
  return is(
    'True',
    'QueueMoving',
    stuck.size === 0 ? 'Mail goes out' : `Mail goes out, but not to ${those}: ${cure}`,
  );
};

/** Also of pods that leave. */
function listQueues({ pods, leaving }: Judged): Queue[] {
  return [...pods, ...leaving].flatMap(({ report }) => report?.queue ?? []);
}

/** Older relays do not tell the cause. */
function cure(cause: FailureCause | undefined, message: string): string {
  const found = cause && findHopCure(cause, message);
  return found === undefined ? '' : `: ${found}`;
}

function isStuck({ withoutSuccessSeconds }: Wait): boolean {
  return withoutSuccessSeconds >= STUCK_SECONDS;
}

function findStuck(waits: readonly Wait[]) {
  const stuck = waits.filter(isStuck);
  const configured = stuck.find((wait) => wait.configured);
  if (configured) return configured;
  const others = waits.filter((wait) => !wait.configured);
  return others.length > 1 && others.every((wait) => stuck.includes(wait)) ? others[0] : undefined;
}

/** In the report the hop that was tried last is the last one. It must not be another status with each try. */
function firstByName<Note extends { readonly destination: string }>(notes: readonly Note[] = []) {
  return notes.toSorted((a, b) => (a.destination < b.destination ? -1 : 1))[0];
}

/** The hops that have the same as the first one: who mends that alone would hear of them one by one. */
function tellOthers(
  world: Judged,
  pick: (queue: Queue) => readonly { readonly destination: string }[],
  first: string,
): string {
  const told = [...reported(world), ...world.leaving].flatMap(({ report }) =>
    report ? pick(report.queue) : [],
  );
  const others = new Set(told.map(({ destination }) => destination).filter((one) => one !== first));
  return others.size === 0 ? '' : `; the same at ${listed([...others].toSorted())}`;
}

function findFirst<Value>(world: Judged, look: (queue: Queue) => Value | undefined) {
  return findFirstReport(world, ({ queue }) => look(queue));
}

function findFirstReport<Value>(world: Judged, look: (report: PodStatus) => Value | undefined) {
  for (const { name, report } of [...reported(world), ...world.leaving]) {
    const value = report && look(report);
    if (value !== undefined) return { pod: name, value };
  }
  return undefined;
}
