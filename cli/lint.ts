/**
 * `mailrelay lint`: checks manifests as the API server would, except transition rules, which need the stored object.
 * Every fault has its file, line, column and field, and says the cure.
 */
import { printPlace } from './documents.ts';
import { nameInput } from './inputfile.ts';
import { isWarning, type LintResult, lintPath } from './lintfaults.ts';
import { print } from './output.ts';
import { makeSarif } from './sarif.ts';
import { paint } from './styles.ts';
import { visible } from './terminal.ts';
import { UsageError } from './usage.ts';
import type { Format } from './verb.ts';

interface LintOptions {
  readonly file?: readonly string[];
  readonly output: Format;
}

export async function lint(named: readonly string[], { file = [], output }: LintOptions): Promise<number> {
  const paths = [...named, ...file];
  if (paths.length === 0) throw new UsageError('Name the manifest: mailrelay lint FILE');
  const results: LintResult[] = [];
  for (const path of paths) results.push(...(await lintPath(path)));
  const value = output === 'sarif' ? await makeSarif(results) : results;
  await print(output === 'sarif' ? 'json' : output, value, () => results.map(describeResult).join(''));
  return results.every(isGood) ? 0 : 1;
}

function isGood({ faults }: LintResult): boolean {
  return faults.every(isWarning);
}

function describeResult(result: LintResult): string {
  const { file, name, faults } = result;
  const lines = faults.map((fault) => {
    const what = isWarning(fault) ? 'warning: ' : '';
    const field = fault.field === null ? '' : `${fault.field}: `;
    return `${paint('bold', `${printPlace(fault)}:`)} ${what}${visible(`${field}${fault.message}`)}\n`;
  });
  const end = isGood(result)
    ? `${visible(nameInput(file))}: MailRelay ${name}: ${paint('green', 'ok')}\n`
    : '';
  return `${lines.join('')}${end}`;
}
