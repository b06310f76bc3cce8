/**
 * The options that a person may write anywhere in the line, as with kubectl: -n, --context, --kubeconfig, --pod, -o. All
 * other words go on as they are, because the verb of a pod may have options that this version does not know. Pure.
 */
import { namespaceName } from '#crds/shapes.ts';
import type { Value } from '../commandtree.ts';
import { refuseMisshapen } from '../misshapen.ts';
import { cannotBe, UsageError } from '../usage.ts';
import type { Place } from './cluster.ts';

export type Form = 'text' | 'json' | 'yaml';

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
/** Of those, and of those that ask the pods themselves, a person may want one pod. */
const OF_PODS: readonly string[] = [...IN_PODS, 'top', 'console', 'test', 'trace', 'cert'];
const TEXT_AND_DATA = ['text', 'json', 'yaml'] as const;
/** Of the verbs that print more than text themselves. */
const OWN_FORMS: Readonly<Record<string, readonly string[]>> = {
  top: TEXT_AND_DATA,
  test: TEXT_AND_DATA,
  cert: TEXT_AND_DATA,
  events: TEXT_AND_DATA,
  render: TEXT_AND_DATA,
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
    // Behind it there are no options.
    if (word === '--') words.push(...argv.slice(index));
    if (word === '--') break;
    const [flag, given] = splitFlag(word);
    const name = Object.hasOwn(NAMES, flag) ? NAMES[flag] : undefined;
    if (name === undefined) {
      words.push(word);
      continue;
    }
    const value = given ?? argv[++index];
    if (value === undefined || value === '')
      throw new UsageError(`Option "${flag}" has no value: write ${flag} ${VALUES[name]}`);
    if (name === 'pod' && globals[name] !== undefined)
      throw cannotBe('--pod', value, 'it must be given once; without it all pods are asked');
    globals[name] = value;
  }
  const { output, namespace } = globals;
  if (output !== undefined && !FORMS.includes(output))
    throw cannotBe('--output', output, `choose one of ${FORMS.join(', ')}`);
  if (namespace !== undefined) refuseMisshapen('--namespace', namespaceName(), namespace);
  // Only the pod knows its wide form.
  if (output !== 'wide' || !IN_PODS.includes(words[0] ?? '')) return { globals: globals as Globals, words };
  return { globals: { ...globals, output: 'text' }, words: addOptions(words, '-o', 'wide') };
}

/** As kubectl reads it: --name, --name=VALUE, -n, -n=VALUE or -nVALUE. */
function splitFlag(word: string): readonly [string, string | undefined] {
  const [, flag = word, value] = /^(--[^=]+)=(.*)$/s.exec(word) ?? /^(-[^-])=?(.+)$/s.exec(word) ?? [];
  return [flag, value];
}

/** Behind "--" there are no options. */
export function addOptions(words: readonly string[], ...options: readonly string[]): string[] {
  const end = words.indexOf('--');
  return words.toSpliced(end === -1 ? words.length : end, 0, ...options);
}

/** Throws if the verb does nothing with one of them: what a person asks for is not left out in silence. */
export function checkGlobals({ output = 'text', pod }: Globals, verb: string): void {
  if (pod !== undefined && !OF_PODS.includes(verb))
    throw new UsageError(
      `Option "--pod" cannot be used with the verb ${verb}, which takes no single pod: leave it out`,
    );
  if (output === 'text' || IN_PODS.includes(verb)) return;
  const forms = OWN_FORMS[verb] ?? [];
  if (forms.includes(output)) return;
  const cure = forms.length > 0 ? `choose one of ${forms.join(', ')}` : 'leave it out';
  throw new UsageError(`Option "--output" cannot be "${output}" with the verb ${verb}: ${cure}`);
}
