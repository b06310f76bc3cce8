/** Completion for fish: a line for each verb, option and value, with the verb before the cursor as condition. Pure. */
import { type ArgumentFacts, listAll, type OptionFacts, type Value, type VerbFacts } from './commandtree.ts';

export function makeFishCompletion(program: VerbFacts): string {
  const verbs = listAll(program);
  return `# fish completion of mailrelay
function __mailrelay_at
    set -l verb mailrelay
    for word in (commandline -opc)[2..-1]
        switch "$verb $word"
            case ${verbs
              .slice(1)
              .map(({ path }) => quote(path))
              .join(' ')}
                set verb "$verb $word"
        end
    end
    test "$verb" = "$argv"
end
complete -c mailrelay -f
${verbs.flatMap(listLines).join('\n')}
`;
}

function listLines(verb: VerbFacts): string[] {
  const at = `complete -c mailrelay -n ${quote(`__mailrelay_at ${verb.path}`)}`;
  return [
    ...verb.verbs.map(({ name, summary }) => `${at} -a ${name} -d ${quote(summary)}`),
    ...verb.arguments.flatMap((argument) => listArgumentLines(at, argument)),
    ...verb.options.map((option) => makeOptionLine(at, option)),
  ];
}

function listArgumentLines(at: string, { value }: ArgumentFacts): string[] {
  if (value.kind === 'words') return [`${at} -a ${quote(value.words.join(' '))}`];
  return value.kind === 'path' ? [`${at} -F`] : [];
}

function makeOptionLine(at: string, { names, summary, value }: OptionFacts): string {
  const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  return [at, ...flags, ...(value ? [describeValue(value)] : []), `-d ${quote(summary)}`].join(' ');
}

function describeValue(value: Value): string {
  switch (value.kind) {
    case 'words':
      return `-x -a ${quote(value.words.join(' '))}`;
    case 'path':
      return '-r -F';
    case 'any':
      return '-x';
  }
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
