/**
 * Finds the files of the tables of addresses. A table may have megabytes, so its contents are not read at each look. A
 * kubelet swaps a link for each change, and `mailrelay run` does the same, so a changed table is another file.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Policy, parsePolicy } from '#crds/policyfile.ts';
import {
  listNames,
  listTextReferences,
  nameTable,
  type Reference,
  type TableReference,
  tableReferences,
} from '#crds/references.ts';
import { describeFileError, lacksMeans } from '#crds/systemwords.ts';
import type { TableFault } from '../addresses/buildtable.ts';

export interface TableFile {
  readonly path: string;
  /** Changes with the file. null: there is no such file. */
  readonly identity: string | null;
}

/** The system refused, which may end although no file changes. */
export type TableFailure = Omit<TableFault, 'kind'> & { readonly kind: 'failed' };

/** By `nameTable`. */
export type TableFiles = Readonly<Record<string, TableFile>>;

interface WantedTables {
  readonly tables: readonly TableReference[];
  /** Names of objects of which only tables are wanted. */
  readonly only: Readonly<Record<Reference['kind'], ReadonlySet<string>>>;
}

/** Most looks find the text of the look before. */
let last: { readonly text: string; readonly policy: Policy | undefined } | undefined;

/** The tables of the policy in this text, and of the policy in force. */
export function listWantedTables(text: string | undefined, inForce: Policy | undefined): WantedTables {
  const policies = [parseOnce(text), inForce].filter((policy) => policy !== undefined);
  const tables = policies.flatMap(tableReferences);
  const only = (kind: Reference['kind']) => {
    const texts = policies.flatMap((policy) => listNames(listTextReferences(policy), kind));
    return new Set(listNames(tables, kind).filter((name) => !texts.includes(name)));
  };
  return { tables, only: { Secret: only('Secret'), ConfigMap: only('ConfigMap') } };
}

export function findTableFiles(
  tables: readonly TableReference[],
  dirs: Readonly<Record<Reference['kind'], string>>,
): TableFiles {
  return Object.fromEntries(
    tables.map((table) => {
      const find = (folder: string): TableFile => {
        const path = join(folder, table.key);
        return { path, identity: identify(path) };
      };
      return [nameTable(table), readBehind(join(dirs[table.kind], table.name), find)];
    }),
  );
}

export function readTableFile({ path, identity }: TableFile): Buffer | TableFault | TableFailure {
  if (identity === null) return { kind: 'fault', fault: 'does not exist' };
  try {
    return readFileSync(path);
  } catch (error) {
    return tableFailure('read', error);
  }
}

export function tableFailure(verb: 'read' | 'written', error: unknown): TableFailure {
  const { code, message } = error as NodeJS.ErrnoException;
  return { kind: 'failed', fault: `cannot be ${verb} (${code ?? message})` };
}

/** A kubelet removes the folder behind a link that it has swapped, so what was read of that may be a part. */
export function readBehind<T>(dir: string, read: (folder: string) => T): T {
  for (;;) {
    const folder = resolvedFolder(dir);
    const found = read(folder);
    if (resolvedFolder(dir) === folder) return found;
  }
}

/** The folder behind the link of a kubelet. */
function resolvedFolder(dir: string): string {
  try {
    return realpathSync(join(dir, '..data'));
  } catch {
    return dir;
  }
}

function parseOnce(text: string | undefined): Policy | undefined {
  if (text === undefined) return undefined;
  if (last?.text !== text) {
    const parsed = parsePolicy(text);
    last = { text, policy: parsed.kind === 'policy' ? parsed.policy : undefined };
  }
  return last.policy;
}

function identify(path: string): string | null {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if (lacksMeans(error)) throw describeFileError('read', path, error);
    return null;
  }
}
