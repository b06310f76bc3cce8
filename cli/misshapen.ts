/** Reads the values of options that have the form of a field of a MailRelay, and refuses others in the words of the fields. Pure. */
import type { host } from '#crds/shapes.ts';
import { describeForm } from '#crds/valuefault.ts';
import { compileSenders, type SenderMatcher } from '#relay/addresses/senders.ts';
import { cannotBe } from './usage.ts';

/** By the shape of a field. */
export function refuseMisshapen(option: string, shape: ReturnType<typeof host>, value: string): void {
  const read = shape.safeParse(value);
  if (read.success) return;
  // The shape itself, and what besides it must not be.
  const misshapen = read.error.issues.find(({ code }) => code === 'invalid_format' || code === 'custom');
  const fault = misshapen?.message ?? (value === '' ? 'has no value' : 'is too long: choose a shorter one');
  const form = misshapen?.code === 'invalid_format' ? describeForm(value, misshapen.pattern) : '';
  throw cannotBe(option, value, `it ${fault}${form}`);
}

/** A sender, or a domain of senders, as a manifest has them. `orElse`: what the option takes besides. */
export function readSenders(option: string, value: string, orElse = ''): SenderMatcher {
  const matches = compileSenders([value]);
  if (matches) return matches;
  throw cannotBe(option, value, `it must be joe@example.com, example.com or *.example.com${orElse}`);
}

/** The addresses in a domain, or for *.example.com those in the domains below it. */
export function readDomains(option: string, value: string): SenderMatcher {
  const matches = value.includes('@') ? undefined : compileSenders([value]);
  if (matches) return matches;
  throw cannotBe(option, value, 'it must be example.com or *.example.com');
}

/** One address, or all of one domain. `what`: an option, or the name of an argument. */
export function refuseUnreadable(what: string, value: string, orElse = ''): void {
  if (value.startsWith('*') || !compileSenders([value]))
    throw cannotBe(what, value, `it must be joe@example.com or example.com${orElse}`);
}
