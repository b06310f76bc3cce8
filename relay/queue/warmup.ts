/**
 * The warm-up of a provider: how many messages an hour of a day may have. The date decides alone, so a restart changes
 * nothing. Pure.
 */
import type { Provider } from '#crds/policyfile.ts';
import type { Rate } from './paces.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * The rate at this time (milliseconds since the epoch). Undefined if the warm-up is over. It grows by the same factor
 * each day, and reaches the limit of the provider when it is over.
 */
export function warmUpRate({ warmUp, limits }: Provider, wall: number): Rate | undefined {
  const { messagesPerMinute } = limits;
  if (!warmUp || messagesPerMinute === null) return undefined;
  const { startDate, days, messagesPerHour } = warmUp;
  const day = Math.max(0, Math.floor((wall - Date.parse(`${startDate}T00:00:00Z`)) / DAY_MS));
  if (day >= days) return undefined;
  const growth = (messagesPerMinute * 60) / messagesPerHour;
  return { most: Math.floor(messagesPerHour * growth ** (day / days)), windowMs: HOUR_MS };
}
