/** The faults of manifests as a SARIF 2.1.0 log, which code scanning of CI systems reads. */
import { relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { LintFault, LintResult } from './lintfaults.ts';
import { projectVersion } from './version.ts';

const RULES: Readonly<Record<LintFault['kind'], string>> = {
  file: 'A file must be readable.',
  yaml: 'The text of the file must be YAML.',
  missing: 'A manifest must have a MailRelay.',
  value: 'A field must have a value that the schema allows.',
  field: 'A field must be one of the schema.',
  rule: 'Fields must fit each other.',
  warning: 'A value should mean what a person reads.',
};

export async function makeSarif(results: readonly LintResult[]) {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'mailrelay lint',
            version: projectVersion(),
            rules: Object.entries(RULES).map(([id, text]) => ({ id, shortDescription: { text } })),
          },
        },
        columnKind: 'utf16CodeUnits',
        results: results.flatMap(({ faults }) => faults.map(makeResult)),
      },
    ],
  };
}

function makeResult({ file, line, column, kind, field, message }: LintFault) {
  return {
    ruleId: kind,
    level: kind === 'warning' ? 'warning' : 'error',
    message: { text: field === null ? message : `${field}: ${message}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: toUri(file) },
          region: { startLine: line, startColumn: column },
        },
        ...(field === null ? {} : { logicalLocations: [{ fullyQualifiedName: field }] }),
      },
    ],
  };
}

/** Relative to the working folder, which is the repository in CI; a file outside is named by its whole path. */
function toUri(file: string): string {
  const path = relative('.', file);
  if (path.startsWith('..')) return pathToFileURL(resolve(file)).href;
  // A reference that is not empty, for the working folder itself.
  return path === '' ? './' : path.split(sep).map(encodeURIComponent).join('/');
}
