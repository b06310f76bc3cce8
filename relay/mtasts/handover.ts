/** The policies of MTA-STS of a pod in evacuation, on both sides of a hand-over. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { MOST_BYTES, PolicyCache } from './cache.ts';
import { keepHandedOver } from './handedover.ts';
import { parsePolicies } from './policiestext.ts';

export const CACHE_FILE = 'mta-sts.json';
/** Of the text of a hand-over: the cache, and a few bytes around it. */
export const POLICIES_AT_MOST = MOST_BYTES + 1024;

/** All policies of this pod whose time is not over. null: there are none. The router must have ended. */
export function readForSibling(
  stateDir: string,
  now: number,
  onError: (error: Error) => void,
): string | null {
  const cache = new PolicyCache({ path: join(stateDir, CACHE_FILE), onError, isReadOnly: true });
  cache.takeIn(now);
  return cache.print(now);
}

/** Resolves with the number of policies when they are on disk, where the router of this pod finds them. */
export async function keepForRouter(stateDir: string, text: string): Promise<number> {
  const policies = parsePolicies(text).length;
  if (policies > 0) await keepHandedOver(join(stateDir, CACHE_FILE), randomUUID(), text);
  return policies;
}
