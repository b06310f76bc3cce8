/**
 * A TLS report (RFC 8460 section 4.4): the shape, and the only reader of reports. A foreign report may contain anything,
 * so its size is bounded before and after it is unpacked, and each field before it is used. Pure.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';

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
const MOST_POLICIES = 1_000;
const MOST_DETAILS = 10_000;
const MOST_STRINGS = 2_000;
const LONGEST_TEXT = 2_000;

const text = z.string().max(LONGEST_TEXT);
const count = z.int().min(0);
/** The examples of the RFC have one string in some places and a list in others. */
const texts = z.union([text.transform((one) => [one]), z.array(text).max(MOST_STRINGS)]);

const details = z.object({
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
  'contact-info': text,
  'report-id': text.min(1),
  policies: z
    .array(
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
        'failure-details': z.array(details).max(MOST_DETAILS).optional(),
      }),
    )
    .max(MOST_POLICIES),
});

export type TlsReport = z.infer<typeof report>;
export type PolicyReport = TlsReport['policies'][number];

export type ReadReport =
  | { readonly kind: 'report'; readonly report: TlsReport }
  /** Completes the sentence "the report cannot be read: ...". */
  | { readonly kind: 'invalid'; readonly reason: string };

export function packReport(written: TlsReport): Buffer {
  return gzipSync(JSON.stringify(written));
}

/** Reads a report, packed or not. Never throws. */
export function readReport(bytes: Buffer): ReadReport {
  const unpacked = isPacked(bytes) ? unpack(bytes) : bytes;
  if (!Buffer.isBuffer(unpacked)) return unpacked;
  if (unpacked.length > MOST_BYTES) return invalid('it is larger than 16 MiB');
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(unpacked));
  } catch {
    return invalid('it is not JSON');
  }
  const result = report.safeParse(value);
  if (result.success) return { kind: 'report', report: result.data };
  const issue = result.error.issues[0];
  return invalid(`${issue?.path.join('.') || 'the report'}: ${issue?.message}`);
}

/** RFC 1952 section 2.3.1. */
function isPacked(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function unpack(bytes: Buffer): Buffer | ReadReport {
  if (bytes.length > MOST_PACKED_BYTES) return invalid('it is larger than 4 MiB');
  try {
    return gunzipSync(bytes, { maxOutputLength: MOST_BYTES });
  } catch (error) {
    const isLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    return invalid(isLarge ? 'unpacked it is larger than 16 MiB' : 'it is not gzip, or it is cut short');
  }
}

function invalid(reason: string): ReadReport {
  return { kind: 'invalid', reason };
}
