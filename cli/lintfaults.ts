/** The faults of manifests as values, each with its place. */
import { describeSystemError } from '#crds/systemwords.ts';
import { type Fault, validateMailRelay } from '#crds/validate.ts';
import { listWarnings, type Warning } from '#crds/warnings.ts';
import { isMailRelay, listObjects, placeFaults } from './documents.ts';
import { lintObjects } from './lintobjects.ts';
import { listYamlFiles, type Place, readYamlFile, type YamlDocument } from './yamlfiles.ts';

export interface LintFault extends Place {
  /**
   * file: the file cannot be read. yaml: its text cannot be read. missing: there is no MailRelay. warning: the API server
   * takes it, and so does the relay, except a table of addresses. The others are those of validate.ts.
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
  const files: (Pick<LintResult, 'file' | 'faults'> & { readonly objects: readonly YamlDocument[] })[] = [];
  try {
    // One after the other, because all may be the same pipe.
    for (const file of listYamlFiles(path)) files.push({ file, ...(await readObjects(file)) });
  } catch (error) {
    return [{ file: path, name: null, faults: [unreadable(path, error)] }];
  }
  const objects = files.flatMap((file) => file.objects);
  const results = files.flatMap((file): LintResult[] => [
    ...(file.faults.length > 0 ? [{ file: file.file, name: null, faults: file.faults }] : []),
    ...file.objects.filter(isMailRelay).map((relay) => lintMailRelay(relay, objects)),
  ]);
  if (results.length > 0) return results;
  const message = 'there is no MailRelay: add a document of kind MailRelay';
  return [{ file: path, name: null, faults: [faultOfFile(path, 'missing', message)] }];
}

async function readObjects(file: string) {
  try {
    const { documents, faults } = await readYamlFile(file);
    const unread = faults.map((fault): LintFault => ({ ...fault, kind: 'yaml', field: null }));
    return { objects: documents.flatMap(listObjects), faults: unread };
  } catch (error) {
    return { objects: [], faults: [unreadable(file, error)] };
  }
}

function lintMailRelay(document: YamlDocument, objects: readonly YamlDocument[]): LintResult {
  const { file, value } = document;
  const judged = validateMailRelay(value);
  const { name } = (value as { metadata?: { name?: unknown } | null }).metadata ?? {};
  const isValid = judged.kind === 'valid';
  const faults = placeFaults<Fault | Warning>(
    document,
    isValid ? listWarnings(judged.manifest.spec) : judged.faults,
  );
  return {
    file,
    name: typeof name === 'string' ? name : '',
    faults: [
      ...faults.map(
        ({ line, column, kind, path, message }): LintFault => ({
          file,
          line,
          column,
          kind,
          field: path,
          message,
        }),
      ),
      ...(isValid ? lintObjects(judged.manifest, objects) : []).map((fault) => ({ ...fault, field: null })),
    ],
  };
}

export const isWarning = ({ kind }: LintFault) => kind === 'warning';

function unreadable(file: string, error: unknown): LintFault {
  const reason = describeSystemError((error as Error).cause ?? error);
  return faultOfFile(file, 'file', `cannot be read: ${reason}`);
}

function faultOfFile(file: string, kind: LintFault['kind'], message: string): LintFault {
  return { file, line: 1, column: 1, kind, field: null, message };
}
