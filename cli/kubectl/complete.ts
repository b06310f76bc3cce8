/**
 * What kubectl offers after "kubectl mailrelay": kubectl runs `kubectl_complete-mailrelay` with the words behind the name
 * of the plugin, of which the last one is begun, and reads the answer in the form of cobra. Asks no cluster.
 */
import { type OptionFacts, readTree, type Value, type VerbFacts } from '../commandtree.ts';
import type { Verb } from '../verb.ts';
import { GLOBAL_OPTIONS } from './globals.ts';
import { buildPlugin } from './program.ts';

interface Offer {
  readonly words: readonly string[];
  /** True: names of files are offered too. */
  readonly hasFiles: boolean;
}

/** Of cobra: names of files as usual, or none. */
const FILES = ':0';
const NO_FILES = ':4';

export async function printCompletion(argv: readonly string[], pods: Verb): Promise<void> {
  const offer = findOffer(await readTree(buildPlugin({})), await readTree(pods), argv);
  process.stdout.write([...offer.words, offer.hasFiles ? FILES : NO_FILES, ''].join('\n'));
}

/** `pods` is the command as it runs in a pod: it has the options that a verb passes on. */
function findOffer(plugin: VerbFacts, pods: VerbFacts, argv: readonly string[]): Offer {
  const begun = argv.at(-1) ?? '';
  const before = argv.slice(0, -1);
  const { verb, path, given } = findVerb(plugin, before);
  const inPod = descend(pods, path);
  const options = [...verb.options, ...(inPod && path.length > 0 ? inPod.options : [])];
  const [, flag, part] = /^(--[a-z-]+)=(.*)$/.exec(begun) ?? [];
  if (flag !== undefined)
    return keep(part ?? '', offerValue(readValue(options, flag)), (word) => `${flag}=${word}`);
  const asked = readValue(options, before.at(-1) ?? '');
  if (asked) return keep(begun, offerValue(asked));
  if (begun.startsWith('-'))
    return keep(begun, {
      words: [...options.flatMap(({ names }) => names), ...GLOBAL_OPTIONS.keys()],
      hasFiles: false,
    });
  if (verb.verbs.length > 0)
    return keep(begun, { words: verb.verbs.map(({ name }) => name), hasFiles: false });
  // The first argument is the name of the relay, which only the cluster knows. The others are those of the pod.
  return given === 0 ? { words: [], hasFiles: false } : keep(begun, offerValue(inPod?.arguments[0]?.value));
}

/** The verb, its names, and how many arguments follow it. */
function findVerb(
  plugin: VerbFacts,
  words: readonly string[],
): { readonly verb: VerbFacts; readonly path: readonly string[]; readonly given: number } {
  const path: string[] = [];
  let [verb, given] = [plugin, 0];
  for (const [index, word] of words.entries()) {
    const isValue = GLOBAL_OPTIONS.has(words[index - 1] ?? '');
    if (isValue || word.startsWith('-')) continue;
    const next = verb.verbs.find(({ name }) => name === word);
    if (next) {
      path.push(word);
      verb = next;
    } else given += 1;
  }
  return { verb, path, given };
}

function descend(program: VerbFacts, path: readonly string[]): VerbFacts | undefined {
  return path.reduce<VerbFacts | undefined>(
    (verb, word) => verb?.verbs.find(({ name }) => name === word),
    program,
  );
}

/** Undefined: the word is no option with a value. */
function readValue(options: readonly OptionFacts[], flag: string): Value | undefined {
  return GLOBAL_OPTIONS.get(flag) ?? options.find(({ names }) => names.includes(flag))?.value;
}

function offerValue(value: Value | undefined): Offer {
  return { words: value?.kind === 'words' ? value.words : [], hasFiles: value?.kind === 'path' };
}

function keep(begun: string, { words, hasFiles }: Offer, print = (word: string) => word): Offer {
  return { words: [...new Set(words)].filter((word) => word.startsWith(begun)).map(print), hasFiles };
}
