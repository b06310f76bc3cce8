/**
 * The contents of Secrets and ConfigMaps that connections use, by next hop. Changed Secrets of a hop of the policy are
 * tried first (preflight.ts), and each hop decides for itself. MX hosts share one certificate, and no host speaks for the
 * others: it is held back only if no connection could use it. A changed ConfigMap is in use at once: what is taken out
 * of a trust bundle must not be trusted a second longer. The old contents are kept in memory only.
 */
import { isDeepStrictEqual } from 'node:util';
import { describeFailure, type Failure, isOfAuthorities } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import { monotonic, wall } from '../task/clock.ts';
import type { Files, KeptSecrets, Materials } from '../task/materials.ts';
import type { HopNotes } from '../task/messages.ts';
import type { NextHop } from './courier.ts';
import { HopCredentials } from './hopcredentials.ts';
import { judgeChange, judgeTrial, type Preflight, type TrialResult } from './preflight.ts';
import { mxHop, mxTerms } from './resolver.ts';
import { findFault, findFaultOfNew, isWithdrawn } from './secretfaults.ts';
import { TlsContexts } from './trust.ts';

type Secrets = Materials['secrets'];

export const MX_HOSTS = 'MX hosts';

/** Who we are towards hops, and whom we trust. */
export class Identity {
  readonly contexts: TlsContexts;
  readonly logins: HopCredentials;

  constructor(materials: Materials) {
    this.contexts = new TlsContexts(materials);
    this.logins = new HopCredentials(materials);
  }

  use(materials: Materials): void {
    this.contexts.use(materials);
    this.logins.use(materials);
  }
}

export interface Trials {
  /** Connects with the mounted contents, and says what the hop thinks of them. Never rejects. */
  readonly tryOut: (hop: NextHop) => Promise<TrialResult>;
  /** Other contents than before are in use for this hop now. */
  readonly onTaken: (hop: NextHop) => void;
  /** The mounted contents are held back. */
  readonly onRefused: (hop: NextHop, failure: Failure) => void;
  /** All old contents that are in use now. */
  readonly onKept: (kept: KeptSecrets) => void;
}

/** A hop whose old contents are in use. */
interface Held {
  readonly hop: NextHop;
  readonly secrets: Secrets;
  readonly identity: Identity;
  preflight: Preflight & { kind: 'try' };
  timer: NodeJS.Timeout;
  /** Of the next trial, by the monotonic clock. */
  tryAt: number;
}

/** True if other contents than before are in use for this hop now, and may end this failure. */
export type ChangedHops = (hop: NextHop, failure?: Failure) => boolean;

export class HopSecrets {
  /** With the mounted contents. */
  readonly mounted: Identity;
  readonly #hops: ReadonlyMap<string, NextHop>;
  readonly #kept: KeptSecrets;
  readonly #held = new Map<string, Held>();
  /** Hops that refuse the contents in use. */
  readonly #refusing = new Set<string>();
  #materials: Materials;
  #trials: Trials | undefined;

  /** `kept`: old contents that stay in use, from the process before this one. */
  constructor({ outbound }: Policy, materials: Materials, kept: KeptSecrets = {}) {
    const named = [...outbound.smartHosts, ...outbound.routes.flatMap(({ hosts }) => hosts ?? [])];
    const hops: readonly NextHop[] = [...named, anyMxHost(outbound)];
    this.#hops = new Map(hops.filter((hop) => listSecrets(hop).length > 0).map((hop) => [makeKey(hop), hop]));
    this.#kept = kept;
    this.#materials = materials;
    this.mounted = new Identity(materials);
  }

  /** Without this, changed contents are in use at once. */
  begin(trials: Trials): void {
    this.#trials = trials;
    for (const [key, { secrets, ...trial }] of Object.entries(this.#kept)) {
      const hop = this.#hops.get(key);
      const mounted = hop && pickSecrets(hop, this.#materials.secrets);
      if (hop && mounted && !isDeepStrictEqual(secrets, mounted) && !isWithdrawn(hop, mounted))
        this.#hold(key, hop, secrets, { kind: 'try', ...trial });
    }
    this.#tellKept();
  }

  identityFor(hop: NextHop): Identity {
    return this.#held.get(makeKey(hop))?.identity ?? this.mounted;
  }

  /** What a login to this hop is made of, also at its proxy. */
  contentsFor(hop: NextHop): Secrets {
    const inUse = this.#held.get(makeKey(hop))?.secrets ?? pickSecrets(hop, this.#materials.secrets);
    const proxy = hop.socksProxy?.credentialsSecret ?? null;
    return proxy === null ? inUse : { ...inUse, [proxy]: this.#materials.secrets[proxy] ?? {} };
  }

  use(materials: Materials): ChangedHops {
    const before = this.#materials;
    this.#materials = materials;
    this.mounted.use(materials);
    const decided = new Map([...this.#hops].map(([key, hop]) => [key, this.#change(key, hop, before)]));
    this.#tellKept();
    return (hop, failure) =>
      ((!failure || isOfAuthorities(failure)) &&
        isChanged(before.configMaps, materials.configMaps, hop.trustConfigMap)) ||
      isChanged(before.secrets, materials.secrets, hop.socksProxy?.credentialsSecret ?? null) ||
      (decided.get(makeKey(hop)) ??
        listSecrets(hop).some((name) => isChanged(before.secrets, materials.secrets, name)));
  }

  /** The hop refuses this identity. True if another one is in use now, which may be accepted. */
  refused(hop: NextHop, identity: Identity): boolean {
    if (this.identityFor(hop) !== identity) return true;
    if (hop.mxOf !== undefined) return false;
    const key = makeKey(hop);
    const held = this.#held.get(key);
    if (held) this.#take(key, held);
    else if (this.#hops.has(key)) this.#refusing.add(key);
    return held !== undefined;
  }

  accepted(hop: NextHop): void {
    this.#refusing.delete(makeKey(hop));
  }

  /** Hops for which the mounted contents are held back. */
  get heldBack(): HopNotes {
    const mounted = this.#materials.secrets;
    return [...this.#held.values()].flatMap(({ hop, secrets, preflight: { failure } }) => {
      if (failure === null) return [];
      const changed = listSecrets(hop).filter((name) => isChanged(secrets, mounted, name));
      const names = changed.map((name) => `"${name}"`);
      const message = `The new contents of Secret ${names.join(' or ')} wait, and the old ones stay in use: ${describeFailure(failure)}`;
      return [{ destination: printHop(hop), message }];
    });
  }

  close(): void {
    this.#trials = undefined;
    for (const key of [...this.#held.keys()]) this.#forget(key);
  }

  /** True if other contents are in use for the hop now. */
  #change(key: string, hop: NextHop, before: Materials): boolean {
    const held = this.#held.get(key);
    const old = pickSecrets(hop, before.secrets);
    const next = pickSecrets(hop, this.#materials.secrets);
    if (isDeepStrictEqual(next, old)) {
      // Hops with the same Secrets share this, and each may have a trust bundle of its own.
      held?.identity.use(this.#withSecrets(held.secrets));
      const isTrustChanged = isChanged(before.configMaps, this.#materials.configMaps, hop.trustConfigMap);
      if (held && isTrustChanged)
        this.#hold(key, hop, held.secrets, { ...held.preflight, afterMs: findPauseLeft(held) });
      return false;
    }
    this.#forget(key);
    const inUse = held?.secrets ?? old;
    if (isDeepStrictEqual(next, inUse)) return false;
    const preflight = judgeChange({
      isOldGood: findFault(hop, inUse) === undefined && !this.#refusing.has(key),
      isWithdrawn: isWithdrawn(hop, next),
    });
    if (preflight.kind === 'try' && this.#trials) this.#hold(key, hop, inUse, preflight);
    else this.#refusing.delete(key);
    return !this.#held.has(key);
  }

  #hold(key: string, hop: NextHop, secrets: Secrets, preflight: Held['preflight']): void {
    const identity = new Identity(this.#withSecrets(secrets));
    this.#forget(key);
    const { afterMs } = preflight;
    const timer = setTimeout(() => this.#try(key, held), afterMs);
    const held: Held = { hop, secrets, identity, preflight, timer, tryAt: monotonic() + afterMs };
    this.#held.set(key, held);
  }

  #withSecrets(secrets: Secrets): Materials {
    return { ...this.#materials, secrets: { ...this.#materials.secrets, ...secrets } };
  }

  async #try(key: string, held: Held): Promise<void> {
    const result = await this.#tryOut(held.hop);
    // Meanwhile the contents may have changed again, or the hop may have refused the old ones.
    if (!result || this.#held.get(key) !== held) return;
    const next = judgeTrial(held.preflight, result);
    if (next.kind === 'take') {
      this.#take(key, held);
      return;
    }
    held.preflight = next;
    held.timer = setTimeout(() => this.#try(key, held), next.afterMs);
    held.tryAt = monotonic() + next.afterMs;
    this.#tellKept();
    if (next.failure) this.#trials?.onRefused(held.hop, next.failure);
  }

  /** Contents that no connection could use are never sent to the hop. */
  async #tryOut(hop: NextHop): Promise<TrialResult | undefined> {
    const failure = findFaultOfNew(hop, pickSecrets(hop, this.#materials.secrets), new Date(wall()));
    if (failure) return { kind: 'refused', failure };
    return hop.mxOf === undefined ? this.#trials?.tryOut(hop) : { kind: 'accepted' };
  }

  #take(key: string, { hop }: Held): void {
    this.#forget(key);
    this.#refusing.delete(key);
    this.#tellKept();
    this.#trials?.onTaken(hop);
  }

  #tellKept(): void {
    const kept = [...this.#held].map(
      ([
        key,
        {
          secrets,
          preflight: { kind: _, ...trial },
        },
      ]) => {
        return [key, { secrets, ...trial }] as const;
      },
    );
    this.#trials?.onKept(Object.fromEntries(kept));
  }

  #forget(key: string): void {
    clearTimeout(this.#held.get(key)?.timer);
    this.#held.delete(key);
  }
}

/** A trial with the trust of before says nothing, unless the hop refused the login. */
function findPauseLeft({ preflight: { failure }, tryAt }: Held): number {
  return failure?.cause === 'login' ? Math.max(0, tryAt - monotonic()) : 0;
}

/** True if both hops get the same contents of their Secrets. */
export function isSameHop(one: NextHop, other: NextHop): boolean {
  return makeKey(one) === makeKey(other);
}

/** All MX hosts together have one name. */
export function printHop({ host, port, mxOf }: NextHop): string {
  return mxOf === undefined ? `${host}:${port}` : MX_HOSTS;
}

/** Stands for all MX hosts. */
function anyMxHost(outbound: Policy['outbound']): NextHop {
  const shared = {
    tlsLevel: 'Opportunistic',
    minTlsVersion: 'TLSv1.2',
    sourceAddresses: [] as string[],
    socksProxy: null,
  } as const;
  return mxHop(MX_HOSTS, MX_HOSTS, 0, mxTerms(shared, outbound));
}

function makeKey({ host, port, mxOf, credentialsSecret, clientCertificateSecret }: NextHop): string {
  const place = mxOf === undefined ? [host, port] : [MX_HOSTS];
  return JSON.stringify([...place, credentialsSecret, clientCertificateSecret]);
}

function listSecrets({ credentialsSecret, clientCertificateSecret }: NextHop): string[] {
  return [credentialsSecret, clientCertificateSecret].filter((name) => name !== null);
}

/** A Secret that is missing is there, without files: what is taken away is never in use again. */
function pickSecrets(hop: NextHop, secrets: Secrets): Secrets {
  return Object.fromEntries(listSecrets(hop).map((name) => [name, secrets[name] ?? {}]));
}

function isChanged(
  old: Readonly<Record<string, Files>>,
  next: Readonly<Record<string, Files>>,
  name: string | null,
): boolean {
  return name !== null && !isDeepStrictEqual(old[name], next[name]);
}
