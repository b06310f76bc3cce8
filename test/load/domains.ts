/** What domains.story.ts and domains.measured.ts share. */
export const DOMAINS = Number(process.env['DOMAINS'] ?? 10_000);
export const WARM_UP = 200;
export const HOST = '192.0.2.1';

/**
 * What is done for each domain. policy: it announces a policy of MTA-STS, which is fetched. plain: it announces none, as most
 * domains. handshake: no look-up, only one TLS connection to its policy host, which is the floor of a fetch.
 */
export const KINDS = ['policy', 'plain', 'handshake'] as const;
export type Kind = (typeof KINDS)[number];

export const domainName = (kind: Kind, index: number): string =>
  `${kind === 'plain' ? 'p' : 'd'}${index}.example`;

/** Per domain, or in MiB for all of them. */
export interface Cost {
  readonly cpuMs: number;
  /** The highest resident memory above that of the start. */
  readonly peakMiB: number;
  /** What collections leave. */
  readonly retainedMiB: number;
}
