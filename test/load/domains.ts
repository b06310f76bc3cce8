/** What domains.story.ts and domains.measured.ts share. */
export const DOMAINS = Number(process.env['DOMAINS'] ?? 10_000);
export const WARM_UP = 200;

export const domainName = (index: number): string => `d${index}.example`;

/** Per domain, or in MiB for all of them. */
export interface Cost {
  readonly cpuMs: number;
  /** The highest resident memory above that of the start. */
  readonly peakMiB: number;
  /** What collections leave. */
  readonly retainedMiB: number;
}
