/**
 * Completion for bash. The script finds the verb by the words before the cursor, then offers the verbs below it, its
 * options, or the values of the option before the cursor. Pure.
 */
import { listAll, type Value, type VerbFacts } from './commandtree.ts';

export function makeBashCompletion(program: VerbFacts): string {
  const verbs = listAll(program);
  const paths = verbs.slice(1).map(({ path }) => `'${path}'`);
  return `# bash completion of mailrelay
_mailrelay() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  local verb=mailrelay words='' options='' paths='' index
  COMPREPLY=()
  # bash takes --output=json apart.
  [[ $cur == '=' ]] && cur=''
  [[ $prev == '=' ]] && prev=\${COMP_WORDS[COMP_CWORD - 2]}
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$verb \${COMP_WORDS[index]}" in
      ${paths.join(' | ')})
        verb="$verb \${COMP_WORDS[index]}" ;;
    esac
  done
  case "$verb $prev" in
${verbs.flatMap(listValueCases).join('\n')}
  esac
  case $verb in
${verbs.map(makeVerbCase).join('\n')}
  esac
  if [[ $cur == -* || -z $words$paths ]]; then
    words=$options
  elif [[ $paths ]]; then
    compopt -o default
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _mailrelay mailrelay
`;
}

/** After an option with a value only its values are offered. */
function listValueCases({ path, options }: VerbFacts): string[] {
  return options.flatMap(({ names, value }) =>
    value ? [`    ${names.map((name) => `'${path} ${name}'`).join(' | ')}) ${offer(value)}; return ;;`] : [],
  );
}

function offer(value: Value): string {
  switch (value.kind) {
    case 'words':
      return `mapfile -t COMPREPLY < <(compgen -W '${value.words.join(' ')}' -- "$cur")`;
    case 'path':
      return 'compopt -o default';
    case 'any':
      return ':';
  }
}

function makeVerbCase({ path, verbs, options, arguments: given }: VerbFacts): string {
  const words = [
    ...verbs.map(({ name }) => name),
    ...given.flatMap(({ value }) => (value.kind === 'words' ? value.words : [])),
  ];
  const flags = options.flatMap(({ names }) => names);
  const paths = given.some(({ value }) => value.kind === 'path') ? " paths='yes'" : '';
  return `    '${path}') words='${words.join(' ')}' options='${flags.join(' ')}'${paths} ;;`;
}
