/** The command as such: how it is asked for help and version, and what it says about wrong usage. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { Command } from 'commander';
import { buildProgram } from '#cli/program.ts';
import { mailrelay } from '#test/kit/relay.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;
const ESCAPE = String.fromCharCode(27);

function listVerbs(command: Command): Command[] {
  return [command, ...command.commands.flatMap(listVerbs)];
}

async function assertUsage(args: readonly string[], ...words: string[]): Promise<void> {
  const { status, stdout, stderr } = await mailrelay(args);
  assert.deepEqual([status, stdout], [2, ''], `${args.join(' ')}: ${stderr}`);
  assert.match(stderr, /^mailrelay: [A-Z].*\n$/, 'one sentence');
  for (const word of words) assert.ok(stderr.includes(word), `"${word}" is not in: ${stderr}`);
}

test('every verb and every option says what it is for, and no verb has the words of another', async () => {
  const verbs = listVerbs(await buildProgram());
  assert.ok(verbs.length > 18);
  for (const verb of verbs) {
    assert.ok(verb.description() !== '', verb.name());
    for (const { flags, description } of verb.options)
      assert.ok(description !== '', `${verb.name()} ${flags}`);
  }
  const summaries = verbs.map((verb) => verb.summary()).filter(Boolean);
  assert.equal(new Set(summaries).size, summaries.length);
});

test('help of a verb is the same by every way to ask for it', async () => {
  for (const words of [['lint'], ['queue'], ['queue', 'list'], []]) {
    const { status, stdout } = await mailrelay([...words, '--help']);
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^Usage: ${['mailrelay', ...words].join(' ')} `));
    for (const args of [
      ['help', ...words],
      ['--help', ...words],
    ])
      assert.deepEqual(await mailrelay(args), { status: 0, stdout, stderr: '' });
  }
});

test('without a verb the help is no answer', async () => {
  const { status, stdout, stderr } = await mailrelay([]);
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /^Usage: mailrelay VERB/);
});

test('a word that is nearly right is met with the right one', async () => {
  await assertUsage(['STATUS'], 'Unknown verb "STATUS" (Did you mean status?)');
  await assertUsage(['queue', 'Lst'], 'Unknown verb "Lst" (Did you mean list?)');
  await assertUsage(['stauts'], '"stauts"', 'Did you mean status?', 'mailrelay --help');
  await assertUsage(['queue', 'lst'], 'Did you mean list?', 'mailrelay queue --help');
  await assertUsage(['lint', '--fiel', 'x'], 'Did you mean --file?', 'mailrelay lint --help');
  await assertUsage(['operator', '--relay-imag', 'x'], '"--relay-imag"', 'Did you mean --relay-image?');
  await assertUsage(['send', '--form', 'a@example.com'], 'Did you mean --from?');
  await assertUsage(['queue', 'retry', '--al'], 'Did you mean --all?', 'mailrelay queue retry --help');
});

test('help and version refuse nonsense', async () => {
  await assertUsage(['help', 'frobnicate'], '"frobnicate"');
  await assertUsage(['frobnicate', '--help'], '"frobnicate"');
  await assertUsage(['queue', 'frobnicate', '--help'], '"frobnicate"');
  for (const asked of [['--version'], ['-V'], ['version']]) {
    assert.match((await mailrelay(asked)).stdout, /^\d+\.\d+\.\d+\n$/);
    await assertUsage([...asked, 'nonsense'], 'nonsense');
    await assertUsage([...asked, '--nonsense'], '--nonsense');
  }
  await assertUsage(['status', '--version'], '--version');
});

test('after "help" there are verbs, and nothing that would run one', async () => {
  await assertUsage(['help', '--', 'lint'], '"--" is no verb');
  await assertUsage(['help', 'queue', 'list', 'extra'], '"extra" is no verb');
  await assertUsage(['--help', 'lint', '--nonsense'], '"--nonsense" is no verb');
  assert.deepEqual(await mailrelay(['help', 'help']), await mailrelay(['help']));
  assert.deepEqual(await mailrelay(['help', 'lint', '--help']), await mailrelay(['lint', '--help']));
});

test('a group of verbs has help too', async () => {
  for (const words of [
    ['queue', 'help', 'list'],
    ['queue', 'help', 'list', '--help'],
  ])
    assert.deepEqual(await mailrelay(words), await mailrelay(['help', 'queue', 'list']));
  assert.deepEqual(await mailrelay(['queue', 'help']), await mailrelay(['help', 'queue']));
  await assertUsage(['queue', 'help', 'frobnicate'], '"frobnicate"', 'mailrelay queue --help');
  await assertUsage(['queue', 'help', 'list', '--all'], '"--all" is no verb');
});

test('a value that cannot be is told in our words, with the cure', async () => {
  await assertUsage(
    ['completion', 'tcsh'],
    'Argument "shell" cannot be "tcsh": choose one of bash, zsh, fish',
  );
  await assertUsage(
    ['status', '-o', 'table'],
    'Option "--output" cannot be "table": choose one of text, wide, json, yaml',
  );
  await assertUsage(
    ['relay', '--processes', 'x'],
    'Option "--processes" cannot be "x": it must be a whole number',
  );
});

test('the variables of colours count as no-color.org has it, and Node says nothing of them', () => {
  const help = (env: NodeJS.ProcessEnv) => {
    const { stdout, stderr } = spawnSync(LAUNCHER, ['--help'], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    return [stdout.includes(`${ESCAPE}[`), stderr];
  };
  assert.deepEqual(help({ NO_COLOR: '1', FORCE_COLOR: '1' }), [false, '']);
  assert.deepEqual(help({ NO_COLOR: '', FORCE_COLOR: '1' }), [true, '']);
  assert.deepEqual(help({ NO_COLOR: '', FORCE_COLOR: '' }), [false, '']);
});

test('wrong usage is found before anything is looked for', async () => {
  for (const verb of ['hold', 'release', 'retry', 'remove', 'export'])
    await assertUsage(['queue', verb], `which messages to ${verb}`);
  await assertUsage(['queue', 'show'], '"ids"');
  await assertUsage(['queue', 'list', 'someid'], 'queue list', '"someid"');
  await assertUsage(['queue', 'export', 'a', 'b'], '--to DIR');
  await assertUsage(['queue', 'remove', 'someid'], '--yes');
  await assertUsage(['queue', 'remove', '--all'], '--yes');
  await assertUsage(['queue', 'hold', '--older', 'soon', '--all'], '--older');
});

test('values that an option cannot have', async () => {
  const send = ['send', '--from', 'a@example.com', '--to', 'b@example.com', '--server'];
  await assertUsage([...send, 'relay'], '"relay"', 'HOST:PORT');
  await assertUsage([...send, ':25'], '":25"', 'HOST:PORT');
  for (const address of ['::1', '2001:db8::7:25', '[::1]'])
    await assertUsage([...send, address], `"${address}"`, 'HOST:PORT', '[2001:db8::7]:25');
  await assertUsage([...send, 'relay:0'], '"relay:0"', '65535');
  await assertUsage([...send, 'relay:25', '--tls', 'maybe'], '"maybe"', 'starttls');
  await assertUsage(['send', '--server', 'relay:25', '--from', 'a@example.com'], '--to');
  await assertUsage(['relay', '--grace', '-1'], '--grace', '"-1"');
  await assertUsage(['operator', '--relay-image', 'x', '--workers', '101'], '"101"', '100');
  await assertUsage(['operator', '--relay-image', 'x', '--user-ids', 'Mine'], '"Mine"', 'Fixed', 'Assigned');
  await assertUsage(['run', 'a.yaml', '-f', 'b.yaml'], 'one manifest');
  for (const verb of ['run', 'relay', 'sink'])
    for (const no of ['foo', 'relay.example', '300.1.1.1', '127.0.0.1:25', ''])
      await assertUsage([verb, '--listen', no], '--listen', `"${no}"`, 'IP address of this machine');
  for (const no of ['', '*', 'a b.example', '*.'])
    await assertUsage(['queue', 'list', '--domain', no], `Option "--domain" cannot be "${no}": it must be `);
  for (const no of ['', 'foo bar', 'joe@', '*'])
    await assertUsage(['queue', 'hold', '--sender', no], `Option "--sender" cannot be "${no}": it must be `);
  for (const no of [
    '',
    'foo bar',
    'joe@',
    '@example.com',
    'joe@exa mple.com',
    '*.example.com',
    '*',
    'a@b@c',
  ]) {
    await assertUsage(['find', no], `Argument "who" cannot be "${no}": it must be joe@example.com or `);
    await assertUsage(['find', '--sender', no], `Option "--sender" cannot be "${no}": it must be `, '<>');
    await assertUsage(['find', '--recipient', no], `Option "--recipient" cannot be "${no}": it must be `);
  }
  for (const no of ['', 'a b', 'a/b', '[::1]'])
    await assertUsage(['status', '--address', no], '"--address"', `"${no}"`, 'host name or an IP address');
  await assertUsage(['status', '--metrics', '-o', 'json'], '--metrics', '-o');
  for (const [option = '', ...values] of [
    ['--sender', 'a.example', 'b.example'],
    ['--domain', 'a.example', 'b.example'],
    ['--older', '1h', '1h'],
  ])
    await assertUsage(
      ['queue', 'remove', '--yes', ...values.flatMap((value) => [option, value])],
      `Option "${option}" cannot be "${values[1]}": it must be given once`,
    );
  await assertUsage(['find', '--id', 'a', '--id', 'b'], '"--id" cannot be "b": it must be given once');
  await assertUsage(
    ['trace', '--peer', '::1', '--peer', '::2'],
    '"--peer" cannot be "::2": it must be given once',
  );
  await assertUsage(['trace', '--peer', 'foo'], '"--peer"', '"foo"', '192.0.2.7');
  await assertUsage(['trace', '--session', ''], '"--session"', '""');
  await assertUsage(['hash', '--sender', 'a@example.com b@example.com'], 'blank', 'repeat the option');
  await assertUsage(
    ['hash', '--sender', '*@example.com'],
    'Option "--sender" cannot be "*@example.com": it must be',
  );
  for (const no of ['a b', '', '*.example.com', 'a.example.'])
    await assertUsage(
      ['cert', '--tlsa', '--cert', 'none', '--hostname', no],
      `Option "--hostname" cannot be "${no}": it `,
    );
  await assertUsage(
    ['hash', '--user', 'a b'],
    'Option "--user" cannot be "a b": it must be a name without blanks',
  );
  await assertUsage(
    ['explain', 'joe@example.com', '--from', 'a@'],
    'Option "--from" cannot be "a@": it must be',
  );
  await assertUsage(['cert', '--cert', 'none', '--key', 'none', '--hostname', '*.b c'], '--hostname');
  for (const no of [
    '300.1.1.1',
    '1.2.3',
    '192.0.2.0/24',
    '192.0.2.7:25',
    'fe80:::1',
    '::12345',
    '2001:db8::zz',
  ])
    await assertUsage(['explain', no], `The IP address "${no}" cannot be read`, '192.0.2.7');
});

test('styles are for a terminal that wants them', async () => {
  const atTerminal = async (environment: Readonly<Record<string, string>>, words = '--help') => {
    const child = spawn('script', ['--quiet', '--return', '--command', `${LAUNCHER} ${words}`, '/dev/null'], {
      env: { PATH: process.env['PATH'], TERM: 'xterm', ...environment },
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await new Promise((resolve) => child.once('close', resolve));
    return output;
  };
  assert.ok((await atTerminal({})).includes(`${ESCAPE}[1mUsage:`));
  const fault = `${ESCAPE}[31mmailrelay:${ESCAPE}[39m Unknown verb`;
  assert.ok((await atTerminal({}, 'nonsense')).includes(fault));
  assert.ok(!(await atTerminal({ NO_COLOR: '1' })).includes(`${ESCAPE}[`));
  assert.ok(!(await atTerminal({ NO_COLOR: '1' }, 'nonsense')).includes(`${ESCAPE}[`));
  assert.ok(!(await mailrelay(['--help'])).stdout.includes(ESCAPE));
});

test('help ends with 0 and goes to standard output', async () => {
  const verbs = [
    'run',
    'lint',
    'send',
    'queue',
    'status',
    'hash',
    'explain',
    'trace',
    'cert',
    'relay',
    'operator',
  ];
  for (const verb of [[], ...verbs.map((name) => [name])]) {
    const { status, stdout, stderr } = await mailrelay([...verb, '--help']);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /Usage: mailrelay/);
  }
});
