/** spec.dns with every default applied, and the MTA-STS policy that it describes (RFC 8461 section 3.2). Pure. */
import { DEFAULT_TTL_SECONDS, type DnsRecord } from './dnsrecords.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import { parseDuration } from './units.ts';

const DEFAULT_MAX_AGE_SECONDS = 30 * 86_400;

export interface MtaSts {
  readonly mode: 'testing' | 'enforce' | 'none';
  readonly mx: readonly string[];
  readonly maxAgeSeconds: number;
}

export interface EffectiveDns {
  /** The types of records that go into the DNSEndpoint; empty if there is none. */
  readonly endpointTypes: readonly DnsRecord['type'][];
  readonly ttlSeconds: number;
  readonly tlsa: boolean;
  /** Null: the domains have no policy. */
  readonly mtaSts: MtaSts | null;
  /** Empty: nobody is asked for TLS reports. */
  readonly rua: readonly string[];
}

export function effectiveDns({ dns, hostname }: Pick<MailRelaySpec, 'dns' | 'hostname'>): EffectiveDns {
  return {
    endpointTypes: dns?.publish === 'DNSEndpoint' ? (dns.recordTypes ?? ['TLSA', 'TXT']) : [],
    ttlSeconds: parseDuration(dns?.ttl ?? '') ?? DEFAULT_TTL_SECONDS,
    tlsa: dns?.tlsa ?? false,
    mtaSts: dns?.mtaSTS
      ? {
          mode: MODES[dns.mtaSTS.mode],
          mx: dns.mtaSTS.mx ?? [hostname],
          maxAgeSeconds: parseDuration(dns.mtaSTS.maxAge ?? '') ?? DEFAULT_MAX_AGE_SECONDS,
        }
      : null,
    rua: dns?.tlsReports?.rua ?? [],
  };
}

const MODES = { Testing: 'testing', Enforce: 'enforce', None: 'none' } as const;

/** The text of the policy. A policy in mode none needs no MX hosts, and has none. */
export function describeStsPolicy({ mode, mx, maxAgeSeconds }: MtaSts): string {
  const hosts = mode === 'none' ? [] : mx.map((host) => `mx: ${host}`);
  return ['version: STSv1', `mode: ${mode}`, ...hosts, `max_age: ${maxAgeSeconds}`, ''].join('\r\n');
}
