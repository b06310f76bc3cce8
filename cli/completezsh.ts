/** Completion for zsh: a function for each verb, in the terms of _arguments. Pure. */
import { listAll, type OptionFacts, type Value, type VerbFacts } from './commandtree.ts';

export function makeZshCompletion(program: VerbFacts): string {
  return `#compdef mailrelay
${listAll(program).map(makeFunction).join('\n')}
if [[ $funcstack[1] == _mailrelay ]]; then
  _mailrelay "$@"
else
  compdef _mailrelay mailrelay
fi
`;
}

function makeFunction(verb: VerbFacts): string {
  return verb.verbs.length > 0 ? makeGroup(verb) : makeLeaf(verb);
}

function makeLeaf(verb: VerbFacts): string {
  const given = verb.arguments.map(
    ({ name, isRepeated, value }, index) =>
      `'${isRepeated ? '*' : index + 1}:${escapeText(name)}:${actionFor(value)}'`,
  );
  const lines = [...verb.options.map(makeOption), ...given];
  // Without a word, zsh would offer files.
  if (lines.length === 0) return `${nameFunction(verb)}() { _message 'no more words' }`;
  return `${nameFunction(verb)}() {
  _arguments \\
    ${lines.join(' \\\n    ')}
}`;
}

function makeGroup(verb: VerbFacts): string {
  const described = verb.verbs.map(({ name, summary }) => `'${name}:${escapeText(summary)}'`);
  const cases = verb.verbs.map((one) => `        ${one.name}) ${nameFunction(one)} ;;`);
  return `${nameFunction(verb)}() {
  local state line
  local -a verbs
  _arguments -C \\
    ${[...verb.options.map(makeOption), "'1: :->verb'", "'*:: :->rest'"].join(' \\\n    ')}
  case $state in
    verb)
      verbs=(
        ${described.join('\n        ')}
      )
      _describe verb verbs ;;
    rest)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
}`;
}

function makeOption({ names, summary, value }: OptionFacts): string {
  const tail = `[${escapeText(summary)}]${value ? `:value:${actionFor(value)}` : ''}`;
  // "=": the value may be in the same word. "*": an option may be repeated; one with two names is one option.
  const flags = names.map((name) => (value && name.startsWith('--') ? `${name}=` : name));
  return flags.length > 1 ? `'*'{${flags.join(',')}}'${tail}'` : `'*${flags[0]}${tail}'`;
}

function actionFor(value: Value): string {
  switch (value.kind) {
    case 'words':
      return `(${value.words.join(' ')})`;
    case 'path':
      return '_files';
    case 'any':
      return ' ';
  }
}

function nameFunction({ path }: VerbFacts): string {
  return `_${path.replaceAll(' ', '_')}`;
}

/** Inside single quotes, where brackets and colons are signs of _arguments. */
function escapeText(text: string): string {
  return text.replace(/[\\[\]:]/g, '\\$&').replaceAll("'", `'\\''`);
}
