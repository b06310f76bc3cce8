/**
 * Which addresses of a next hop are tried in one attempt, within what is left of the attempt's share. Both families and
 * a second host are among them where there are any, so that one that is dead does not use up all of it. Pure.
 */
import { isIPv6 } from 'node:net';

/** Addresses of one attempt, as Postfix's smtp_mx_address_limit. */
export const ADDRESSES_AT_ONCE = 5;

/**
 * `left`: what the attempt may still try; `isLast`: no other hop follows. `untried` go first, in the order in which they
 * are wanted.
 */
export function pickAddresses(
  addresses: readonly string[],
  { left, isLast, tried }: { left: number; isLast: boolean; tried: ReadonlySet<string> },
): string[] {
  const ordered = [
    ...addresses.filter((address) => !tried.has(address)),
    ...addresses.filter((address) => tried.has(address)),
  ];
  const count = isLast || left <= 1 ? left : left - 1;
  const picked = ordered.slice(0, count);
  const other = ordered.slice(count).find((address) => isIPv6(address) !== isIPv6(picked[0] ?? ''));
  const isOneFamily = picked.every((address) => isIPv6(address) === isIPv6(picked[0] ?? ''));
  return other !== undefined && isOneFamily && picked.length > 1 ? [...picked.slice(0, -1), other] : picked;
}
