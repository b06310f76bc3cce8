/**
 * The contents of the Secrets and ConfigMaps of a policy: texts by object name and file name. They travel only over the
 * channel between supervisor and tasks. A task gets only the objects that it needs. Pure.
 */
import type { Failure } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import {
  eventsReferences,
  inboundReferences,
  listNames,
  nameTable,
  outboundReferences,
  type Reference,
  tableReferences,
} from '#crds/references.ts';

export type Files = Readonly<Record<string, string>>;

export interface Materials {
  readonly secrets: Readonly<Record<string, Files>>;
  readonly configMaps: Readonly<Record<string, Files>>;
  /** Tables of addresses, by `nameTable`. */
  readonly tables?: Tables;
}

export type Tables = Readonly<Record<string, TableState>>;

export interface TableState {
  /** The built file of the last good content. null: there was none. */
  readonly path: string | null;
  /** Why the present content cannot be used. null: it is in use. */
  readonly fault: string | null;
}

/** Old contents that a next hop still gets, because it was not asked yet about the mounted ones, or refuses them. */
interface KeptContents {
  readonly secrets: Materials['secrets'];
  readonly afterMs: number;
  readonly refusals: number;
  readonly failure: Failure | null;
}

/** By hop (relay/delivery/hopsecrets.ts). A new router gets them from the router before it. */
export type KeptSecrets = Readonly<Record<string, KeptContents>>;

/** A next hop that refuses our login. Times in milliseconds since the epoch. */
interface RefusedLogin {
  readonly failure: Failure;
  /** Refusals in a row. */
  readonly refusals: number;
  readonly since: number;
  readonly at: number;
  /** What it has refused: other contents are tried at once. */
  readonly secrets: Materials['secrets'];
}

/** By hop (relay/delivery/failedhops.ts). A new router gets them, so that it does not try a wrong login at once. */
export type RefusedLogins = Readonly<Record<string, RefusedLogin>>;

export const NO_MATERIALS: Materials = { secrets: {}, configMaps: {} };

/**
 * A task never gets keys that it does not need. The listener gets the outbound objects only if it delivers by itself.
 */
export function listenerMaterials(policy: Policy, all: Materials): Materials {
  const outbound = policy.queue.mode === 'CutThrough' ? outboundReferences(policy) : [];
  const texts = selectMaterials([...inboundReferences(policy), ...outbound], all);
  const names = tableReferences(policy).map(nameTable);
  if (names.length === 0) return texts;
  const tables = names.flatMap((name) => (all.tables?.[name] ? [[name, all.tables[name]] as const] : []));
  return { ...texts, tables: Object.fromEntries(tables) };
}

export function routerMaterials(policy: Policy, all: Materials): Materials {
  return selectMaterials([...outboundReferences(policy), ...eventsReferences(policy)], all);
}

function selectMaterials(references: readonly Reference[], { secrets, configMaps }: Materials): Materials {
  const only = (kind: Reference['kind'], all: Readonly<Record<string, Files>>) =>
    Object.fromEntries(listNames(references, kind).flatMap((name) => (all[name] ? [[name, all[name]]] : [])));
  return { secrets: only('Secret', secrets), configMaps: only('ConfigMap', configMaps) };
}
