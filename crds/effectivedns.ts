/**
 * spec.dns with every default applied, and the MTA-STS policy that it describes (RFC 8461 section 3.2). The text that the
 * relay serves and the id in DNS both come from here. Pure.
 */
import { DEFAULT_TTL_SECONDS, type DnsRecord, RECORD_TYPES } from './dnsrecords.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import { hashContent, type PolicyHost } from './policyfile.ts';
import { parseDuration } from './units.ts';

const DEFAULT_MAX_AGE_SECONDS = 30 * 86_400;
/** The only port at which senders ask for a policy. */
export const HTTPS_PORT = 443;

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
    endpointTypes: dns?.publish === 'DNSEndpoint' ? (dns.recordTypes ?? RECORD_TYPES) : [],
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

/** The id of a policy in the record _mta-sts: it changes with the text, and with nothing else. */
export function identifyStsPolicy(text: string): string {
  return hashContent(text);
}

/** The name at which senders ask for the policy of a domain. */
export function policyHostName(domain: string): string {
  return `mta-sts.${domain}`;
}

/** Name of the Secret of the policy host; undefined if the relay does not serve the policy. */
export function policyHostSecretName(relayName: string, { dns }: MailRelaySpec): string | undefined {
  const serve = dns?.mtaSTS?.serve;
  return serve && (serve.secretName ?? `${relayName}-mta-sts-tls`);
}

export function effectivePolicyHost(relayName: string, spec: MailRelaySpec): PolicyHost | null {
  const { mtaSts } = effectiveDns(spec);
  const secret = policyHostSecretName(relayName, spec);
  const domains = [...new Set(spec.inbound.acceptDomains ?? [])];
  if (mtaSts === null || secret === undefined || domains.length === 0) return null;
  return {
    port: spec.dns?.mtaSTS?.serve?.port ?? HTTPS_PORT,
    secret,
    hosts: domains.map(policyHostName),
    text: describeStsPolicy(mtaSts),
  };
}
