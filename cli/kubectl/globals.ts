/**
 * The options that a person may write anywhere in the line, as with kubectl: -n, --context, --kubeconfig, --pod, -o. All
 * other words go on as they are, because the verb of a pod may have options that this version does not know. Pure.
 */
import type { Value } from '../commandtree.ts';
import { UsageError } from '../usage.ts';
import type { Place } from './cluster.ts';
import type { Form } from './inpods.ts';

export interface Globals extends Place {
  readonly pod?: string;
  readonly output?: Form;
}

const NAMES: Readonly<Record<string, keyof Globals>> = {
  '-n': 'namespace',
  '--namespace': 'namespace',
  '--context': 'context',
  '--kubeconfig': 'kubeconfig',
  '--pod': 'pod',
  '-o': 'output',
  '--output': 'output',
};
const FORMS: readonly string[] = ['text', 'wide', 'json', 'yaml'];

/** What a shell may offer as the value of each. */
export const GLOBAL_OPTIONS: ReadonlyMap<string, Value> = new Map(
  Object.entries(NAMES).map(([flag, name]): [string, Value] => {
    if (name === 'output') return [flag, { kind: 'words', words: FORMS }];
    return [flag, { kind: name === 'kubeconfig' ? 'path' : 'any' }];
  }),
);

/** The globals for a manifest that names a namespace, or none. */
export function inNamespace(globals: Globals, namespace: string | undefined): Globals {
  if (namespace === undefined || namespace === globals.namespace) return globals;
  if (globals.namespace !== undefined)
    throw new UsageError(
      `The manifest is for namespace "${namespace}", and -n names "${globals.namespace}": leave out one of them`,
    );
  return { ...globals, namespace };
}

export function takeGlobals(argv: readonly string[]): {
  readonly globals: Globals;
  readonly words: string[];
} {
  const globals: Record<string, string> = {};
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] as string;
    const [flag = '', ...rest] = word.startsWith('--') ? word.split('=') : [word];
    const name = Object.hasOwn(NAMES, flag) ? NAMES[flag] : undefined;
    if (name === undefined) {
      words.push(word);
      continue;
    }
    const value = rest.length > 0 ? rest.join('=') : argv[++index];
    if (value === undefined || value === '')
      throw new UsageError(`Option "${flag}" has no value: write ${flag} ${name.toUpperCase()}`);
    globals[name] = value;
  }
  const { output } = globals;
  if (output !== undefined && !FORMS.includes(output))
    throw new UsageError(`Option "--output" cannot be "${output}": choose one of ${FORMS.join(', ')}`);
  // Only the pod knows its wide form.
  if (output === 'wide') words.push('-o', 'wide');
  return { globals: output === 'wide' ? { ...globals, output: 'text' } : (globals as Globals), words };
}
