/**
 * Copies fields of the spec unchanged into a Kubernetes object. A field that the spec does not set is not rendered, so
 * that an object stays the same when a new version adds a field. Pure.
 */
export function given<Part extends object, Field extends keyof Part>(
  part: Part | undefined,
  fields: readonly Field[],
): Given<Part, Field> {
  const set = fields.filter((field) => part?.[field] !== undefined).map((field) => [field, part?.[field]]);
  return Object.fromEntries(set) as Given<Part, Field>;
}

/** Adds the labels of the spec to an object with labels of ours. Ours win. */
export function withLabels<Labelled extends { readonly labels: Readonly<Record<string, string>> }>(
  labelled: Labelled,
  labels: Readonly<Record<string, string>> | undefined,
): Labelled {
  return { ...labelled, labels: { ...labels, ...labelled.labels } };
}

type Given<Part, Field extends keyof Part> = { [Name in Field]?: Exclude<Part[Name], undefined> };
