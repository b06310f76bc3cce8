/** The oldest of many open sessions. Of 10,000 sessions only those that are told are described. */
import { MOST_SESSIONS } from '#crds/sessions.ts';
import { monotonic, wall } from './clock.ts';
import { timestamp } from './timestamp.ts';

export interface Listed<One> {
  /** By the monotonic clock. */
  readonly since: number;
  readonly describe: () => Omit<One, 'since'>;
}

export function describeOldest<One>(
  all: readonly Listed<One>[],
): [(Omit<One, 'since'> & { since: string })[], number] {
  const kept = all.toSorted((a, b) => a.since - b.since).slice(0, MOST_SESSIONS);
  const began = wall() - monotonic();
  const described = kept.map(({ since, describe }) => ({
    ...describe(),
    since: timestamp(Math.round(began + since)),
  }));
  return [described, all.length - kept.length];
}
