/**
 * A TLS report (RFC 8460 section 4.4): the shape, and the only reader of reports. A foreign report may contain anything,
 * so its size is bounded before and after it is unpacked, its values before they are made, and each field before it is
 * used. Pure.
 */
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { gunzip, isPacked } from '#crds/gunzip.ts';
import { describeValueFault, quote } from '#crds/valuefault.ts';

/** RFC 8460 section 4.3. */
export const RESULT_TYPES = [
  'starttls-not-supported',
  'certificate-host-mismatch',
  'certificate-expired',
  'certificate-not-trusted',
  'validation-failure',
  'tlsa-invalid',
  'dnssec-invalid',
  'dane-required',
  'sts-policy-fetch-error',
  'sts-policy-invalid',
  'sts-webpki-invalid',
] as const;

export type ResultType = (typeof RESULT_TYPES)[number];

/** What a report of a day may take, packed and unpacked. A report of ours has at most a few hundred kilobytes. */
const MOST_PACKED_BYTES = 4 * 1024 * 1024;
const MOST_BYTES = 16 * 1024 * 1024;
/** Each value takes far more memory than its bytes of JSON, and so does each fault that the shape finds. */
const MOST_VALUES = 100_000;
const VALUE_MARKS: ReadonlySet<number> = new Set(Buffer.from('{[,'));
const MOST_POLICIES = 1_000;
const MOST_DETAILS = 10_000;
const MOST_STRINGS = 2_000;
const LONGEST_TEXT = 2_000;

const text = z.string().max(LONGEST_TEXT);
const count = z.int().min(0);
/** The examples of the RFC have one string in some places and a list in others. */
const texts = z.union([text.transform((one) => [one]), boundedList(text, MOST_STRINGS)]);

/** The failure-details of a policy. The caller says how long a text may be. */
export const failureDetails = (text: z.ZodString) =>
  z.object({
    'result-type': text,
    'sending-mta-ip': text.optional(),
    'receiving-mx-hostname': text.optional(),
    'receiving-mx-helo': text.optional(),
    'receiving-ip': text.optional(),
    'failed-session-count': count,
    'additional-information': text.optional(),
    'failure-reason-code': text.optional(),
  });

const report = z.object({
  'organization-name': text,
  'date-range': z.object({
    'start-datetime': z.iso.datetime({ offset: true }),
    'end-datetime': z.iso.datetime({ offset: true }),
  }),
  'contact-info': text.optional(),
  'report-id': text.min(1),
  policies: boundedList(
    z.object({
      policy: z.object({
        'policy-type': z.enum(['tlsa', 'sts', 'no-policy-found']),
        'policy-string': texts.optional(),
        'policy-domain': text.min(1),
        'mx-host': texts.optional(),
      }),
      summary: z.object({
        'total-successful-session-count': count,
        'total-failure-session-count': count,
      }),
      'failure-details': boundedList(failureDetails(text), MOST_DETAILS).optional(),
    }),
    MOST_POLICIES,
  ),
});

export type TlsReport = z.infer<typeof report>;
export type PolicyReport = TlsReport['policies'][number];

export type ReadReport =
  | { readonly kind: 'report'; readonly report: TlsReport }
  /** Completes the sentence "the report cannot be read: ...". */
  | { readonly kind: 'invalid'; readonly cause: 'too_large' | 'malformed'; readonly reason: string };

export function packReport(written: TlsReport): Buffer {
  return gzipSync(JSON.stringify(written));
}

/** Reads a report, packed or not. Never throws. */
export function readReport(bytes: Buffer): ReadReport {
  const unpacked = isPacked(bytes) ? unpack(bytes) : bytes;
  if (!Buffer.isBuffer(unpacked)) return unpacked;
  if (unpacked.length > MOST_BYTES) return tooLarge('it is larger than 16 MiB');
  if (hasMoreValues(unpacked)) return tooLarge('it has more than 100,000 values');
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(unpacked), dropNull);
  } catch {
    return malformed('it is not JSON');
  }
  const result = report.safeParse(value, { error: describeFault });
  if (result.success) return { kind: 'report', report: result.data };
  const issue = result.error.issues[0];
  return malformed(`${issue?.path.join('.') || 'the report'} ${issue?.message}`);
}

/** Some systems write null where a field has no value. */
function dropNull(_name: string, value: unknown): unknown {
  return value ?? undefined;
}

/** Completes the sentence that begins with the name of the field. */
function describeFault(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_format':
      return `must be a time such as 2026-01-31T00:00:00Z, not ${quote(issue.input)}`;
    case 'invalid_union':
      return 'must be a text, or a list of texts';
    // A list says the fault of its item.
    case 'custom':
      return undefined;
    default:
      return describeValueFault(issue);
  }
}

/**
 * A list whose check ends at its first fault. Zod alone would collect the faults of all items, in a time that grows with
 * the square of their number.
 */
function boundedList<Item>(item: z.ZodType<Item>, most: number) {
  return z
    .array(z.unknown())
    .max(most)
    .transform((values, context): Item[] => {
      const items: Item[] = [];
      for (const [index, value] of values.entries()) {
        const read = item.safeParse(value, { error: describeFault });
        const [issue] = read.error?.issues ?? [];
        if (read.success) items.push(read.data);
        else {
          const path = [index, ...(issue?.path ?? [])];
          context.issues.push({ code: 'custom', message: issue?.message ?? '', path, input: value });
          return z.NEVER;
        }
      }
      return items;
    });
}

function unpack(bytes: Buffer): Buffer | ReadReport {
  if (bytes.length > MOST_PACKED_BYTES) return tooLarge('it is larger than 4 MiB');
  try {
    return gunzip(bytes, MOST_BYTES);
  } catch (error) {
    const isLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    return isLarge
      ? tooLarge('unpacked it is larger than 16 MiB')
      : malformed('it is not gzip, or it is cut short');
  }
}

/** Marks inside of texts count too. Real reports are far from the bound. */
function hasMoreValues(json: Buffer): boolean {
  let left = MOST_VALUES;
  for (const byte of json) if (VALUE_MARKS.has(byte) && --left < 0) return true;
  return false;
}

function tooLarge(reason: string): ReadReport {
  return { kind: 'invalid', cause: 'too_large', reason };
}

function malformed(reason: string): ReadReport {
  return { kind: 'invalid', cause: 'malformed', reason };
}
