/**
 * Chooses which addresses of a next hop are tried in one attempt, within the number that is left for this attempt. The
 * choice contains both families and a second host if they exist, so one dead family or host cannot use up the whole
 * number. Pure.
 */
import { isIPv6 } from 'node:net';

/** Addresses for each attempt, as Postfix's smtp_mx_address_limit. */
export const ADDRESSES_AT_ONCE = 5;

/**
 * `ordered`: the best address first. `left`: how many addresses the attempt may still try. `isLast`: no other hop follows.
 */
export function pickAddresses(
  ordered: readonly string[],
  { left, isLast }: { left: number; isLast: boolean },
): string[] {
  const count = isLast || left <= 1 ? left : left - 1;
  const picked = ordered.slice(0, count);
  const other = ordered.slice(count).find((address) => isIPv6(address) !== isIPv6(picked[0] ?? ''));
  const isOneFamily = picked.every((address) => isIPv6(address) === isIPv6(picked[0] ?? ''));
  return other !== undefined && isOneFamily && picked.length > 1 ? [...picked.slice(0, -1), other] : picked;
}

/**
 * Adds another address in the place of one to which there is no way, where nobody was asked. Returns how many were added. Mail
 * that requires TLS needs it: of a large host the machines that were asked speak for the others.
 */
export function pickAnother(picked: string[], ordered: readonly string[]): number {
  const others = ordered.filter((address) => !picked.includes(address));
  picked.push(...others.slice(0, 1));
  return Math.min(others.length, 1);
}
