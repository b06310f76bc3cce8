/** Wrong usage: the same mistakes with every verb, and some of their own, each told in one sentence of our own with a cure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command, Option } from 'commander';
import { buildPlugin } from '#cli/kubectl/program.ts';
import { buildProgram } from '#cli/program.ts';
import { UsageError } from '#cli/usage.ts';
import { assertOneSentence } from '#test/kit/onesentence.ts';
import { mailrelay } from '#test/kit/relay.ts';

const FOREIGN =
  /error:|argument missing|not specified|missing required|too many|Expected \d|is invalid|Allowed choices|command|commander|zod|node:|\n|<|\b(undefined|null|NaN)\b/i;

interface Mistake {
  readonly words: readonly string[];
  readonly says: RegExp;
}

const hasValue = ({ flags }: Option) => flags.includes('<');
const listLeaves = (verb: Command): Command[] =>
  verb.commands.length === 0 ? [verb] : verb.commands.flatMap(listLeaves);

function wordsOf(verb: Command): string[] {
  return verb.parent ? [...wordsOf(verb.parent), verb.name()] : [];
}

function ofOption(option: Option): Mistake[] {
  const { long, argChoices } = option;
  if (!long) return [];
  if (!hasValue(option)) return [{ words: [`${long}=yes`], says: /takes no value: write --/ }];
  const isPath = /<(file|path|dir)>/.test(option.flags);
  return [
    { words: [long], says: /^Option "--[a-z-]+" has no value: (write --|choose one of )/ },
    ...(option.short === '-f' && !option.description.endsWith('can be repeated')
      ? [
          {
            words: ['-f', 'one', '-f', 'two'],
            says: /^Option "--file(name)?" cannot be "two": it must be given once/i,
          },
        ]
      : []),
    ...(argChoices ? [{ words: [long, 'xml'], says: /cannot be "xml": choose one of / }] : []),
    ...(argChoices || isPath ? [{ words: [long, ''], says: /^Option "--[a-z-]+" cannot be "": / }] : []),
  ];
}

function ofVerb(verb: Command): Mistake[] {
  const { registeredArguments: known } = verb;
  const enough = known.map(({ argChoices }) => argChoices?.[0] ?? 'x');
  const mandatory = verb.options.filter((option) => option.mandatory);
  // An environment variable may give it.
  const isMissing = mandatory.some(({ envVar }) => envVar === undefined);
  return [
    { words: ['--nonsense'], says: /^Unknown option "--nonsense"/ },
    { words: ['--nonsense=secret'], says: /^Unknown option "--nonsense"(?!.*secret)/ },
    { words: ['-Q'], says: /^Unknown option "-Q"/ },
    { words: ['--hlep'], says: /^Unknown option "--hlep" \(Did you mean --help\?\)/ },
    ...verb.options.flatMap(ofOption),
    ...(isMissing ? [{ words: enough, says: /^Option "--[a-z-]+" is missing: add --[a-z-]+ [A-Z]/ }] : []),
    ...(known.some(({ required }) => required) && mandatory.length === 0
      ? [{ words: [], says: /^Argument "\w+" is missing: give / }]
      : []),
    ...(known.at(-1)?.variadic || mandatory.length > 0
      ? []
      : [
          {
            words: [...enough, 'more'],
            says: /^Argument "more" is too much|^A password is never an argument/,
          },
        ]),
  ];
}

async function fail(program: Command, words: readonly string[]): Promise<string> {
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    assert.ok(error instanceof UsageError, `${words.join(' ')}: ${error}`);
    return error.message;
  }
  return assert.fail(`${words.join(' ')} is taken`);
}

for (const [name, build] of [
  ['mailrelay', () => buildProgram()],
  ['kubectl mailrelay', async () => buildPlugin({})],
] as const)
  test(`every verb of ${name} tells the same mistakes in the same words, with the cure`, async () => {
    const program = await build();
    let count = 0;
    for (const verb of listLeaves(program)) {
      // Words for a pod go there as they are, so that one of another version can know more.
      const passes = (verb as unknown as { _allowUnknownOption: boolean })._allowUnknownOption;
      const mistakes = passes ? [{ words: [], says: /^Argument "relay" is missing: give / }] : ofVerb(verb);
      for (const { words, says } of mistakes) {
        const message = await fail(program, [...wordsOf(verb), ...words]);
        const [sentence = '', help] = message.split(/: see (?="[^"]*"$)/);
        const where = `${verb.name()} ${words.join(' ')}: ${message}`;
        assert.match(sentence, says, where);
        assert.doesNotMatch(sentence, FOREIGN, where);
        assert.ok(
          help === `"${[name, ...wordsOf(verb)].join(' ')} --help"` || !message.includes('see "'),
          where,
        );
        count++;
      }
    }
    assert.ok(count > 60, `${count}`);
  });

test('the process ends with 2, and says it in one line', async () => {
  for (const words of [['lint', ''], ['run', '--state', ''], ['lint', '-o'], ['send'], ['stauts']]) {
    const { status, stdout, stderr } = await mailrelay(words);
    assert.deepEqual([status, stdout], [2, ''], stderr);
    assert.match(stderr, /^mailrelay: .*: see "mailrelay[a-z ]* --help"\n$/);
  }
});

test('wrong usage ends with 2', async () => {
  assertOneSentence(await mailrelay(['run', '--frobnicate']), 2, '--frobnicate', '--help');
  assertOneSentence(await mailrelay(['run']), 2, 'mailrelay run -f FILE');
  assertOneSentence(await mailrelay(['frobnicate']), 2, '"frobnicate"', '--help');
  assertOneSentence(await mailrelay(['run', '-f', 'x', '--admin-port', 'many']), 2, '--admin-port', '"many"');
  assertOneSentence(await mailrelay(['operator', '--frobnicate']), 2, '--frobnicate');
  assertOneSentence(await mailrelay(['operator']), 2, '--relay-image');
  assertOneSentence(await mailrelay(['send', '--server', 'x:25']), 2, '--from');
});

test('wrong usage of the verbs that speak to a running relay', async () => {
  const cases: [string[], ...string[]][] = [
    [['queue'], 'queue list', '--help'],
    [['queue', 'flush'], '"flush"', 'mailrelay queue --help'],
    [['queue', 'constructor'], '"constructor"', 'mailrelay queue --help'],
    [['queue', 'list', '--frobnicate'], '--frobnicate', '--help'],
    [['queue', 'list', '--older', 'long'], '--older', '"long"'],
    [['queue', 'list', '-o', 'xml'], '--output', '"xml"'],
    [['queue', 'hold', 'x', '--all'], 'not both', '--help'],
    [['status', '--admin-port', 'many'], '--admin-port', '"many"'],
    [['status', 'now'], '"now"', '--help'],
    [['explain'], 'mailrelay explain --help'],
    [['explain', 'a@example.com'], '-f FILE'],
    [['explain', 'NoSuchReason'], '"NoSuchReason"', 'KeyMismatch'],
    [['trace', '--level', '3'], '--level', '--help'],
    [['cert', '--cert', 'x'], '--key FILE'],
    [['cert', '--tlsa'], '--cert FILE'],
    [['cert', '--tlsa', '--cert', 'x', '--ttl', '1h'], '--ttl', '"1h"'],
    [['cert', '--tlsa', '--cert', 'x', '--port', '0'], '--port', '"0"'],
  ];
  for (const [args, ...words] of cases) assertOneSentence(await mailrelay(args), 2, ...words);
});
