/** When mail that waits for a destination is tried again, and when it is returned, in words. Pure. */
import type { Schedule } from '#relay/queue/retry.ts';
import { row, showDuration } from './terminal.ts';

const SHOWN = 5;
const USUAL = 'the schedule of the relay; a host that cannot be had is probed sooner';

export function describeSchedule({ pausesSeconds, rule, expireAfterSeconds, expiryRule }: Schedule): string {
  const growing = pausesSeconds.slice(0, -1).map(showDuration);
  const most = showDuration(pausesSeconds.at(-1) ?? 0);
  const begin = growing.slice(0, SHOWN);
  const pauses =
    growing.length > SHOWN
      ? `after ${begin.join(', ')}, and so on up to every ${most}`
      : `${begin.length > 0 ? `after ${begin.join(', ')}, then ` : ''}every ${most}`;
  const lines = [
    row('tried again', `${pauses} (${rule ?? USUAL})`),
    row('returned', `after ${showDuration(expireAfterSeconds)} (${expiryRule})`),
  ];
  return `${lines.join('\n')}\n`;
}
