/**
 * What the spec gives of a Kubernetes object, passed on as it is. What it does not say is not rendered, so that an object
 * is what it was before there was such a field. Pure.
 */
export function given<Part extends object, Field extends keyof Part>(
  part: Part | undefined,
  fields: readonly Field[],
): Given<Part, Field> {
  const set = fields.filter((field) => part?.[field] !== undefined).map((field) => [field, part?.[field]]);
  return Object.fromEntries(set) as Given<Part, Field>;
}

/** What has labels of ours, with those that the spec gives it beside them; ours win. */
export function withLabels<Labelled extends { readonly labels: Readonly<Record<string, string>> }>(
  labelled: Labelled,
  labels: Readonly<Record<string, string>> | undefined,
): Labelled {
  return { ...labelled, labels: { ...labels, ...labelled.labels } };
}

type Given<Part, Field extends keyof Part> = { [Name in Field]?: Exclude<Part[Name], undefined> };
