/** The faults of manifests as values, each with its place. */
import { type Fault, validateMailRelay } from '#crds/validate.ts';
import { isMailRelay, locateFault } from './documents.ts';
import { listYamlFiles, type Place, readYamlFile, type YamlDocument } from './yamlfiles.ts';

export interface LintFault extends Place {
  /** yaml: the text cannot be read. missing: there is no MailRelay. The others are those of validate.ts. */
  readonly kind: Fault['kind'] | 'yaml' | 'missing';
  /** null: the fault is not that of a field. */
  readonly field: string | null;
  readonly message: string;
}

/** The faults of one MailRelay, or of one file (name: null). */
export interface LintResult {
  readonly file: string;
  readonly name: string | null;
  readonly faults: readonly LintFault[];
}

export function lintPath(path: string): LintResult[] {
  const files = listYamlFiles(path).map((file) => ({ file, ...readYamlFile(file) }));
  const results = files.flatMap(({ file, documents, faults }) => [
    ...(faults.length > 0
      ? [
          {
            file,
            name: null,
            faults: faults.map((fault): LintFault => ({ ...fault, kind: 'yaml', field: null })),
          },
        ]
      : []),
    ...documents.filter(isMailRelay).map(lintDocument),
  ]);
  return results.length > 0 ? results : [noMailRelay(path)];
}

function lintDocument(document: YamlDocument): LintResult {
  const { file, value } = document;
  const judged = validateMailRelay(value);
  const { name } = (value as { metadata?: { name?: unknown } | null }).metadata ?? {};
  const faults = (judged.kind === 'valid' ? [] : judged.faults).map(
    (fault): LintFault => ({
      ...locateFault(document, fault),
      kind: fault.kind,
      field: fault.path,
      message: fault.message,
    }),
  );
  return {
    file,
    name: typeof name === 'string' ? name : '',
    faults: faults.toSorted((a, b) => a.line - b.line || a.column - b.column),
  };
}

function noMailRelay(path: string): LintResult {
  const message = 'there is no MailRelay: add a document of kind MailRelay';
  return {
    file: path,
    name: null,
    faults: [{ file: path, line: 1, column: 1, kind: 'missing', field: null, message }],
  };
}
