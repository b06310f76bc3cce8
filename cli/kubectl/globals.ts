/**
 * The options that a person may write anywhere in the line, as with kubectl: -n, --context, --kubeconfig, --pod, -o. All
 * other words go on as they are, because the verb of a pod may have options that this version does not know. Pure.
 */
import type { Value } from '../commandtree.ts';
import { cannotBe, UsageError } from '../usage.ts';
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
/** Verbs whose words go to pods. */
const IN_PODS: readonly string[] = ['status', 'sessions', 'queue', 'explain', 'find', 'tlsrpt'];
/** Of the verbs that print more than text themselves. */
const OWN_FORMS: Readonly<Record<string, readonly string[]>> = {
  events: ['text', 'json', 'yaml'],
  render: ['text', 'yaml', 'json'],
};
/** As the help has them. */
const VALUES: Readonly<Record<keyof Globals, string>> = {
  namespace: 'NAME',
  context: 'NAME',
  kubeconfig: 'FILE',
  pod: 'NAME',
  output: 'FORMAT',
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
      throw new UsageError(`Option "${flag}" has no value: write ${flag} ${VALUES[name]}`);
    globals[name] = value;
  }
  const { output } = globals;
  if (output !== undefined && !FORMS.includes(output))
    throw cannotBe('--output', output, `choose one of ${FORMS.join(', ')}`);
  // Only the pod knows its wide form.
  if (output !== 'wide' || !IN_PODS.includes(words[0] ?? '')) return { globals: globals as Globals, words };
  return { globals: { ...globals, output: 'text' }, words: [...words, '-o', 'wide'] };
}

/** Throws if the verb has no such form: what a script asks for is not left out in silence. */
export function checkForm({ output = 'text' }: Globals, verb: string): void {
  if (output === 'text' || IN_PODS.includes(verb)) return;
  const forms = OWN_FORMS[verb] ?? [];
  if (forms.includes(output)) return;
  const cure = forms.length > 0 ? `choose one of ${forms.join(', ')}` : 'leave it out';
  throw new UsageError(`Option "--output" cannot be "${output}" with the verb ${verb}: ${cure}`);
}
