/**
 * Finds the entries of a spec that break a rule over several fields. A rule says only whether a spec follows it, so that
 * parts are left out, and the rule judges the rest. Pure.
 */
export type Key = string | number;

export interface Culprit {
  /** From the top of the document. */
  readonly keys: readonly Key[];
  readonly value: unknown;
}

interface Trial {
  /** Where the API server reports the fault. Of several fields that could be changed, the one here is to blame. */
  readonly place: readonly string[];
  /** The verdict where another value stands in the place of this one. */
  readonly judge: (value: unknown) => 'holds' | 'broken' | 'undecided';
}

/** `value` breaks the rule. The value itself is the culprit where none of its parts is. */
export function findCulprits(value: unknown, keys: readonly Key[], trial: Trial): readonly Culprit[] {
  const itself = [{ keys, value }];
  if (value === null || typeof value !== 'object') return itself;
  const inner = Array.isArray(value)
    ? findInList(value, keys, trial)
    : findInObject(value as Readonly<Record<string, unknown>>, keys, trial);
  return inner.length > 0 ? inner : itself;
}

/** The entries are added one by one: one that breaks the rule for those before it is a culprit. */
function findInList(list: readonly unknown[], keys: readonly Key[], trial: Trial): readonly Culprit[] {
  const breaks = (entries: readonly unknown[]) => trial.judge(entries) === 'broken';
  // What the list lacks is no fault of an entry.
  if (breaks([])) return [];
  const kept: unknown[] = [];
  const suspects: { readonly entry: unknown; readonly index: number }[] = [];
  for (const [index, entry] of list.entries())
    if (breaks([...kept, entry])) suspects.push({ entry, index });
    else kept.push(entry);
  return suspects
    .filter(({ entry }) => breaks([...kept, entry]))
    .flatMap(({ entry, index }) =>
      findCulprits(entry, [...keys, index], { ...trial, judge: (value) => trial.judge([...kept, value]) }),
    );
}

/** A field without which the rule holds is the culprit, or a part of it. */
function findInObject(
  object: Readonly<Record<string, unknown>>,
  keys: readonly Key[],
  trial: Trial,
): readonly Culprit[] {
  const judge = (key: string, value: unknown) => trial.judge({ ...object, [key]: value });
  const into = (key: string) =>
    findCulprits(object[key], [...keys, key], { ...trial, judge: (value) => judge(key, value) });
  const isDeep = (found: readonly Culprit[]) => found.some((one) => one.keys.length > keys.length + 1);
  const names = Object.keys(object);
  const onPlace = trial.place[keys.length];
  const free = names.filter((key) => trial.judge(without(object, key)) === 'holds');
  // The rule cannot be judged without a mandatory field, but without a part of it.
  const mandatory = names.filter((key) => trial.judge(without(object, key)) === 'undecided');
  const chosen = [...free, ...mandatory].find((key) => key === onPlace);
  const found = chosen === undefined ? [] : into(chosen);
  if (isDeep(found) || (chosen !== undefined && free.includes(chosen))) return found;
  const last = free.at(-1);
  return last === undefined ? (mandatory.map(into).find(isDeep) ?? []) : into(last);
}

function without(object: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}
