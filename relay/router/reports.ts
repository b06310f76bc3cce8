/**
 * Connects reports, those of this relay and those of others, with the rest of the router: files, DNS, trusted
 * authorities, the history and the queue.
 */
import { join } from 'node:path';
import type { Policy } from '#crds/policyfile.ts';
import type { ReportField } from '#crds/reportaddresses.ts';
import type { AttemptResult, Parcel } from '../delivery/courier.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { FeedbackInbox } from '../feedback/inbox.ts';
import type { History } from '../history/history.ts';
import type { Log } from '../observe/log.ts';
import type { QueueManager } from '../queue/manager.ts';
import type { Spool } from '../spool/spool.ts';
import { wall } from '../task/clock.ts';
import type { Materials } from '../task/materials.ts';
import { rememberContext } from '../task/trustcontext.ts';
import { ReportInbox } from '../tlsrpt/inbox.ts';
import { RECEIVED_FILE } from '../tlsrpt/received.ts';
import { TlsReports } from '../tlsrpt/tlsreports.ts';

const FILE = 'tlsrpt.json';

type Names = Delivery['names'];

export interface ReportsDeps {
  readonly policy: Policy;
  readonly stateDir: string;
  readonly log: Log;
  readonly materials: () => Materials;
  readonly manager: QueueManager;
  readonly spool: Spool;
  readonly names: Names;
}

/** Undefined if the policy wants no reports. Call this when no other router has the queue. */
export function openReports({ policy, stateDir, log, ...rest }: ReportsDeps): TlsReports | undefined {
  const { tlsReports: terms, trustConfigMap } = policy.outbound;
  if (terms === null) return undefined;
  const { materials, manager, spool, names } = rest;
  const contextFor = rememberContext(trustConfigMap);
  return new TlsReports({
    policy,
    terms,
    path: join(stateDir, FILE),
    log,
    wall,
    random: Math.random,
    lookUpTxt: (name) => lookUpTxt(names, name),
    lookUp: (host) => lookUp(names, host),
    count: (result, by) => manager.counters.add('tls_reports', `${result},${by}`),
    context: () => contextFor(materials()),
    enter: async ({ id, envelope, body }) => {
      await spool.enter(id, envelope, body);
      manager.add(id);
    },
  });
}

/** Where mail of strangers ends that is a report. */
export interface Inboxes {
  readonly tlsReports: ReportInbox | undefined;
  readonly feedbackReports: FeedbackInbox | undefined;
}

/** Only those for which the policy has an address. Call this when no other router has the queue. */
export function openInboxes(
  { policy, stateDir, log, manager, names }: ReportsDeps,
  history: History | undefined,
): Inboxes {
  const { tlsReports, feedbackReports } = policy.inbound;
  const shared = { log, lookUpTxt: (name: string) => lookUpTxt(names, name) };
  return {
    tlsReports:
      tlsReports === null
        ? undefined
        : new ReportInbox({
            ...shared,
            path: join(stateDir, RECEIVED_FILE),
            wall,
            count: (name, label, by) => manager.counters.add(name, label, by),
          }),
    feedbackReports:
      feedbackReports === undefined
        ? undefined
        : new FeedbackInbox({
            ...shared,
            count: (name, label) => manager.counters.add(name, label),
            findMessage: (messageId, recipient) => findMessage(history, messageId, recipient),
          }),
  };
}

export function takeReport(
  inboxes: Inboxes | undefined,
  parcel: Parcel,
  reports: ReportField,
): Promise<AttemptResult> {
  const inbox = inboxes?.[reports];
  if (!inbox) throw new Error('the router has not begun');
  return inbox.take(parcel);
}

/**
 * The only message with this id, whoever the recipient is: providers change its name. If there are several, the only one
 * to this recipient. Undefined also if the history cannot be read.
 */
function findMessage(
  history: History | undefined,
  messageId: string,
  recipient: string | undefined,
): string | undefined {
  const findOnly = (query: { readonly messageId: string; readonly recipient?: string }) => {
    const [found, ...others] = history?.find({ ...query, most: 2 }) ?? [];
    return others.length === 0 ? found?.id : undefined;
  };
  try {
    return (
      findOnly({ messageId }) ?? (recipient === undefined ? undefined : findOnly({ messageId, recipient }))
    );
  } catch {
    return undefined;
  }
}

async function lookUpTxt(names: Names, name: string): Promise<readonly string[][]> {
  const answer = await names.lookUp(name, 'TXT');
  if (answer.kind === 'failed') throw new Error(answer.why);
  return answer.kind === 'records' ? answer.records : [];
}

async function lookUp(names: Names, host: string): Promise<readonly string[]> {
  const answers = await Promise.all([names.lookUp(host, 'A'), names.lookUp(host, 'AAAA')]);
  const addresses = answers.flatMap((answer) => (answer.kind === 'records' ? answer.records : []));
  if (addresses.length === 0) throw new Error(`${host} has no address`);
  return addresses;
}
