/**
 * The tables of addresses that a policy names, read as the relay reads them, and the warning about one that the relay does
 * not take. Pure.
 */
import type { Policy } from '#crds/policyfile.ts';
import { describeTableFault, type TableReference, tableReferences } from '#crds/references.ts';
import { type BuiltTable, buildTableAtOnce, type TableFault } from '#relay/addresses/buildtable.ts';
import type { Contents } from './objects.ts';

interface JudgedTable {
  readonly reference: TableReference;
  readonly table: BuiltTable;
}

/** `read`: undefined for an object that is not here, of which nothing is known. */
export function judgeTables(
  policy: Policy,
  read: (reference: TableReference) => Buffer | Pick<TableFault, 'fault'> | undefined,
): JudgedTable[] {
  return tableReferences(policy).flatMap((reference) => {
    const found = read(reference);
    if (found === undefined) return [];
    const table: BuiltTable = Buffer.isBuffer(found)
      ? buildTableAtOnce(found)
      : { kind: 'fault', fault: found.fault };
    return [{ reference, table }];
  });
}

/** A key may have a name that every object of JavaScript has. */
export function findTable(contents: Contents, key: string): Buffer | Pick<TableFault, 'fault'> {
  const found = Object.hasOwn(contents, key) ? contents[key] : undefined;
  return found ?? { fault: 'does not exist' };
}

/** Begins with the field. */
export function describeWrongTable({ reference, table }: JudgedTable): string[] {
  if (table.kind === 'built') return [];
  const meanwhile = `until then the last good table counts, and without one ${reference.without}`;
  return [`${describeTableFault(reference, table.fault)}: correct this; ${meanwhile}`];
}
