/** Refuses the values of options that are wrong in themselves, in the words of the fields of a MailRelay. Pure. */
import type { host } from '#crds/shapes.ts';
import { readDomain, readMailbox } from '#relay/addresses/address.ts';
import { UsageError } from './usage.ts';

/** By the shape of a field. */
export function refuseMisshapen(option: string, shape: ReturnType<typeof host>, value: string): void {
  const read = shape.safeParse(value);
  if (read.success) return;
  const misshapen = read.error.issues.find(({ code }) => code === 'invalid_format');
  const fault = misshapen?.message ?? (value === '' ? 'has no value' : 'is too long: choose a shorter one');
  throw new UsageError(`Option ${option} "${value}" ${fault}`);
}

/** A domain, or *.example.com for those below it. */
export function refuseNoDomain(option: string, value: string): void {
  if (!isDomain(value))
    throw new UsageError(
      `Option ${option} "${value}" is no domain: write it as example.com or *.example.com`,
    );
}

/** A sender, or a domain of senders. */
export function refuseNoSender(option: string, value: string): void {
  if (value !== '<>' && !isDomain(value) && !readMailbox(value)?.domain)
    throw new UsageError(
      `Option ${option} "${value}" is no sender: write it as joe@example.com, example.com, *.example.com or <>`,
    );
}

function isDomain(value: string): boolean {
  return readDomain(value.replace(/^\*\./, '')) !== undefined;
}
