/** The addresses whose mail ends at the relay, because the relay reads it: reports of other mail systems. Pure. */

/** Fields of `inbound`. */
export const REPORT_FIELDS = ['tlsReports', 'feedbackReports'] as const;
export type ReportField = (typeof REPORT_FIELDS)[number];

/**
 * The largest mail at such an address. A TLS report of 16 MiB, the most that is unpacked, is far smaller as a mail, and
 * each MiB costs the verifier of signatures a tenth of a second.
 */
export const MOST_REPORT_MAIL_BYTES = 2 * 1024 * 1024;
