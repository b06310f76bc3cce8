/** The faults of manifests as values, each with its place. */
import { describeSystemError } from '#crds/systemwords.ts';
import { type Fault, validateMailRelay } from '#crds/validate.ts';
import { listWarnings, type Warning } from '#crds/warnings.ts';
import { isMailRelay, listObjects, placeFaults } from './documents.ts';
import { listYamlFiles, type Place, readYamlFile, type YamlDocument } from './yamlfiles.ts';

export interface LintFault extends Place {
  /**
   * file: the file cannot be read. yaml: its text cannot be read. missing: there is no MailRelay. warning: the API server
   * and the relay take it. The others are those of validate.ts.
   */
  readonly kind: Fault['kind'] | 'file' | 'yaml' | 'missing' | 'warning';
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

/** What cannot be read is a fault like others, so that it hides none of them. */
export async function lintPath(path: string): Promise<LintResult[]> {
  try {
    const results: LintResult[] = [];
    // One after the other, because all may be the same pipe.
    for (const file of listYamlFiles(path)) results.push(...(await lintFile(file).catch(unreadable(file))));
    if (results.length > 0) return results;
  } catch (error) {
    return unreadable(path)(error as Error);
  }
  return [faultyFile(path, 'missing', 'there is no MailRelay: add a document of kind MailRelay')];
}

async function lintFile(file: string): Promise<LintResult[]> {
  const { documents, faults } = await readYamlFile(file);
  const unread = faults.map((fault): LintFault => ({ ...fault, kind: 'yaml', field: null }));
  return [
    ...(unread.length > 0 ? [{ file, name: null, faults: unread }] : []),
    ...documents.flatMap(listObjects).filter(isMailRelay).map(lintDocument),
  ];
}

function lintDocument(document: YamlDocument): LintResult {
  const { file, value } = document;
  const judged = validateMailRelay(value);
  const { name } = (value as { metadata?: { name?: unknown } | null }).metadata ?? {};
  const faults = placeFaults<Fault | Warning>(
    document,
    judged.kind === 'valid' ? listWarnings(judged.manifest.spec) : judged.faults,
  );
  return {
    file,
    name: typeof name === 'string' ? name : '',
    faults: faults.map(
      ({ line, column, kind, path, message }): LintFault => ({
        file,
        line,
        column,
        kind,
        field: path,
        message,
      }),
    ),
  };
}

export const isWarning = ({ kind }: LintFault) => kind === 'warning';

const unreadable = (file: string) => (error: Error) => [
  faultyFile(file, 'file', `cannot be read: ${describeSystemError(error.cause ?? error)}`),
];

function faultyFile(file: string, kind: LintFault['kind'], message: string): LintResult {
  return { file, name: null, faults: [{ file, line: 1, column: 1, kind, field: null, message }] };
}
