/**
 * Finds what destinations publish about their TLS, as far as `outbound.tls.discover` says so. MTA-STS is found by
 * relay/mtasts: this file gives it the DNS of deliveries, the trusted authorities, and a file on the volume. In mode
 * CutThrough there is no file.
 */
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { type FailureCause, makeFailure } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import { DnsResolver } from '../dns/resolver.ts';
import { PolicyCache } from '../mtasts/cache.ts';
import { type Fetched, fetchPolicy, makeFetchContext, Unasked } from '../mtasts/fetch.ts';
import { CACHE_FILE } from '../mtasts/handover.ts';
import { StsPolicies } from '../mtasts/policies.ts';
import type { Log } from '../observe/log.ts';
import { monotonic, wall } from '../task/clock.ts';
import type { Materials } from '../task/materials.ts';
import { findNobodyTrusted, makeCa, trustFrom } from '../task/trust.ts';
import type { NextHop } from './courier.ts';
import { DaneFindings } from './dane.ts';
import { plainName } from './hostname.ts';
import { type MailNames, namesBy, SYSTEM_NAMES } from './names.ts';
import { findForeign } from './resolver.ts';
import { type DaneFinding, NO_FINDINGS, type StsFinding, type TlsDiscovery } from './tlsfindings.ts';
import type { Context } from './trust.ts';

export interface DiscoveryDeps {
  readonly log: Log;
  readonly count: (counter: string, label: string) => void;
  /** null: what was found is kept in memory only. */
  readonly stateDir: string | null;
  /** True if the folder belongs to another process. */
  readonly isReadOnly?: boolean;
}

export class Discovery implements TlsDiscovery {
  readonly #outbound: Policy['outbound'];
  /** null: no resolver is trusted to prove anything. */
  readonly #dane: DaneFindings | null;
  /** Who is asked about names of mail hosts and policy hosts. */
  readonly names: MailNames;
  readonly #sts: StsPolicies | undefined;
  #materials: Materials;
  /** Made with the first fetch, because few relays need it at once. */
  #context: SecureContext | undefined;

  constructor({ outbound }: Policy, materials: Materials, deps: DiscoveryDeps) {
    this.#outbound = outbound;
    const dns = outbound.resolver && new DnsResolver({ ...outbound.resolver, clock: monotonic });
    this.names = dns ? namesBy(dns) : SYSTEM_NAMES;
    this.#dane = dns && outbound.resolver?.trustAD ? new DaneFindings(dns, monotonic) : null;
    this.#materials = materials;
    if (outbound.discover.includes('MTASTS')) this.#sts = this.#findPolicies(deps);
  }

  /** For the levels that the spec discovers, and for a hop whose level needs it. Without DNSSEC it is never. */
  findDane(hop: NextHop): DaneFinding | Promise<DaneFinding> {
    const isWanted = this.#outbound.discover.includes('DANE') || hop.tlsLevel === 'Dane';
    return this.#dane && isWanted ? this.#dane.find(hop) : NO_FINDINGS.dane;
  }

  findSts(domain: string, left?: () => AbortSignal): StsFinding | Promise<StsFinding> {
    return this.#sts?.find(plainName(domain), left?.()) ?? NO_FINDINGS.sts;
  }

  /** A policy host may be trusted now that was not before. */
  useMaterials(materials: Materials): void {
    const { trustConfigMap } = this.#outbound;
    const [before, now] = [this.#materials, materials].map((one) => trustFrom(one, trustConfigMap));
    this.#materials = materials;
    if (isDeepStrictEqual(before, now)) return;
    this.#context = undefined;
    this.#sts?.forgive();
  }

  async close(): Promise<void> {
    await this.#sts?.close();
  }

  #findPolicies({ stateDir, isReadOnly = false, log, count }: DiscoveryDeps): StsPolicies {
    const onError = (error: Error) => log('not_kept', { what: CACHE_FILE, message: error.message });
    const file = stateDir === null ? null : { path: join(stateDir, CACHE_FILE), onError, isReadOnly };
    return new StsPolicies({
      lookUpTxt: (name) => this.#lookUpTxt(name),
      fetch: (domain, signal) => this.#fetch(domain, signal),
      cache: new PolicyCache(file),
      wall,
      log,
      count: (result) => count('sts_fetches', result),
      countLapse: (mode) => count('sts_lapses', mode),
    });
  }

  async #fetch(domain: string, signal: AbortSignal): Promise<Fetched> {
    const failed = (cause: FailureCause, status: string, why: string): Fetched => {
      const text = `Cannot fetch the MTA-STS policy of ${domain}: ${why}`;
      return { kind: 'failed', failure: makeFailure({ cause, status, text }) };
    };
    try {
      const made = this.#makeContext();
      if (made.kind === 'unusable') return failed('local', '4.7.0', made.reason);
      const lookUp = (host: string) => this.#findAddresses(host);
      return await fetchPolicy(domain, { lookUp, context: made.context, signal });
    } catch (error) {
      return failed('sts-policy-fetch-error', '4.7.5', (error as Error).message);
    }
  }

  #makeContext(): Context {
    if (this.#context) return { kind: 'context', context: this.#context };
    const { trustConfigMap } = this.#outbound;
    const trust = trustFrom(this.#materials, trustConfigMap);
    const nobody = findNobodyTrusted(trust, trustConfigMap);
    if (nobody !== undefined) return { kind: 'unusable', reason: nobody };
    try {
      this.#context = makeFetchContext(makeCa(trust));
      return { kind: 'context', context: this.#context };
    } catch (error) {
      return { kind: 'unusable', reason: (error as Error).message };
    }
  }

  async #lookUpTxt(name: string): Promise<readonly string[][] | undefined> {
    const answer = await this.names.lookUp(name, 'TXT');
    if (answer.kind === 'records') return answer.records;
    if (answer.kind === 'absent') return [];
    if (answer.isUnasked) throw new Unasked(answer.why);
    return undefined;
  }

  async #findAddresses(host: string): Promise<readonly string[]> {
    const found = await findForeign(host, 'Any', host, this.names);
    if (found.kind === 'addresses') return found.addresses;
    throw new (found.isUnasked ? Unasked : Error)(found.failure.text);
  }
}
