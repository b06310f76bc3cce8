/** Connects the delivery history with the rest of the router. */
import { join } from 'node:path';
import { type HistoryQuery, parseQuery } from '../history/entry.ts';
import { HISTORY_FILE, History, removeHistory } from '../history/history.ts';
import type { FindsMail } from '../queue/control.ts';
import { monotonic, wall } from '../task/clock.ts';
import type { MailForNobody } from '../task/messages.ts';
import type { ReportsDeps } from './reports.ts';

type HistoryDeps = Pick<ReportsDeps, 'policy' | 'stateDir' | 'log' | 'manager' | 'spool'>;

/** Undefined if the policy wants no history: then none is left. Call this when no other router has the queue. */
export function openHistory({ policy, stateDir, log, manager, spool }: HistoryDeps): History | undefined {
  const path = join(stateDir, HISTORY_FILE);
  const { historySeconds } = policy.queue;
  if (historySeconds === null) {
    removeHistory(path);
    return undefined;
  }
  return new History({
    path,
    keepMs: historySeconds * 1000,
    log,
    wall,
    clock: monotonic,
    onLost: (facts) => manager.counters.add('history_lost', undefined, facts),
    isQueued: (id) => spool.read(id).kind === 'message',
  });
}

/** It was never in the queue. */
export function keepMailForNobody(history: History, mail: readonly MailForNobody[]): void {
  for (const { id, ...record } of mail) history.queued(id, { ...record, recipients: [] });
}

export function answerFrom(history: History): FindsMail {
  const read =
    <Answer>(answer: (query: HistoryQuery) => Answer) =>
    (parameters: URLSearchParams) => {
      const query = parseQuery(parameters);
      return query && answer(query);
    };
  return { find: read((query) => history.find(query)), count: read((query) => history.count(query)) };
}
