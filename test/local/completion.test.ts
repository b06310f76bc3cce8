/** Completion and man page, tried by the programs that read them: bash, zsh, fish, groff. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { unpacked } from '#test/kit/debian.ts';
import { mailrelay } from '#test/kit/relay.ts';

const COMPLETER = new URL('../../bin/kubectl_complete-mailrelay', import.meta.url).pathname;
const MAN_PAGE = new URL('../../docs/mailrelay.1', import.meta.url).pathname;

let dir = '';

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mailrelay-completion-'));
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { status, stdout, stderr } = await mailrelay(['completion', shell]);
    assert.equal(status, 0, stderr);
    writeFileSync(join(dir, shell), stdout);
  }
});

after(() => rmSync(dir, { recursive: true, force: true }));

/** What a person is offered after the words, of which the last one is begun. */
interface Case {
  readonly words: readonly string[];
  readonly offered: readonly string[];
  readonly not?: readonly string[];
}

const CASES: readonly Case[] = [
  { words: [''], offered: ['run', 'queue', 'completion'], not: ['list', '--file'] },
  { words: ['st'], offered: ['status'], not: ['run'] },
  { words: ['queue', 're'], offered: ['release', 'retry', 'remove'], not: ['list', 'relay'] },
  { words: ['queue', 'list', '--'], offered: ['--sender', '--state', '--help'], not: ['--yes'] },
  { words: ['queue', 'remove', '--y'], offered: ['--yes'] },
  { words: ['lint', '-o', ''], offered: ['text', 'json', 'yaml', 'sarif'], not: ['wide', 'run'] },
  { words: ['send', '--tls', 'im'], offered: ['implicit'], not: ['none'] },
  {
    words: ['explain', 'Certificate'],
    offered: ['CertificateMissing', 'CertificateReady'],
    not: ['Stalled'],
  },
  { words: ['completion', ''], offered: ['bash', 'zsh', 'fish'] },
  { words: ['he'], offered: ['help'] },
  { words: ['help', 'l'], offered: ['lint'], not: ['list', 'help'] },
  { words: ['help', 'queue', 'l'], offered: ['list', 'lift'], not: ['lint'] },
  { words: ['help', 'queue', 'list', '--'], offered: [], not: ['--all', '--help'] },
];

function assertOffers(shell: string, offer: (words: readonly string[]) => string[]): void {
  for (const { words, offered, not = [] } of CASES) {
    const found = offer(words);
    for (const word of offered) assert.ok(found.includes(word), `${shell}: ${words.join(' ')}: no ${word}`);
    for (const word of not) assert.ok(!found.includes(word), `${shell}: ${words.join(' ')}: ${word}`);
  }
}

test('bash offers verbs, options and values', () => {
  assertOffers('bash', (words) => {
    const script = `source "$1"; shift; COMP_WORDS=(mailrelay "$@"); COMP_CWORD=$#; _mailrelay; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync('bash', ['-c', script, 'bash', join(dir, 'bash'), ...words], {
      encoding: 'utf8',
    });
    return stdout.split('\n');
  });
});

test('bash offers the value of an option that is joined to it, which bash takes apart', () => {
  for (const words of [
    ['lint', '--output', '=', 'j'],
    ['lint', '--output', '='],
  ]) {
    const script = `source "$1"; shift; COMP_WORDS=(mailrelay "$@"); COMP_CWORD=$#; _mailrelay; printf '%s ' "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync('bash', ['-c', script, 'bash', join(dir, 'bash'), ...words], {
      encoding: 'utf8',
    });
    assert.match(stdout, words.length === 4 ? /^json $/ : /^text json yaml sarif $/);
  }
});

test('kubectl is offered the words of the plugin, in the form of cobra', () => {
  const offered = (...words: string[]) => {
    const { stdout, status } = spawnSync(COMPLETER, words, { encoding: 'utf8' });
    assert.equal(status, 0, words.join(' '));
    return stdout.trimEnd().split('\n');
  };
  assert.deepEqual(offered('que'), ['queue', ':4']);
  assert.deepEqual(offered('-n', 'queue', 'queue', 'li'), ['list', 'lift', ':4']);
  assert.deepEqual(offered('queue', 'list', 'relay', '--se'), ['--sender', ':4']);
  assert.deepEqual(offered('status', 'relay', '--output=j'), ['--output=json', ':4']);
  assert.deepEqual(offered('status', '-o', 'y'), ['yaml', ':4']);
  assert.deepEqual(offered('status', ''), [':4'], 'the names of relays are in the cluster');
  assert.deepEqual(offered('explain', 'relay', 'CertificateMis'), ['CertificateMissing', ':4']);
  assert.deepEqual(offered('diff', '-f', ''), [':0'], 'files');
  assert.ok(offered('').includes('restart') && offered('--').includes('--context'));
});

/** A package in its own folder, or why there is none. */
function tryUnpack(name: string): { root: string } | { problem: string } {
  try {
    return { root: unpacked(name) };
  } catch (error) {
    return { problem: `no ${name}: ${(error as Error).message.split('\n')[0]}` };
  }
}

test('fish offers verbs, options and values', (context) => {
  const fish = tryUnpack('fish');
  if ('problem' in fish) return context.skip(fish.problem);
  const env = {
    PATH: process.env['PATH'],
    HOME: dir,
    LD_LIBRARY_PATH: join(fish.root, 'usr/lib/x86_64-linux-gnu'),
  };
  const run = (script: string) =>
    spawnSync(join(fish.root, 'usr/bin/fish'), ['--no-config', '-c', script], { env, encoding: 'utf8' });
  assertOffers('fish', (words) => {
    const { stdout, stderr } = run(`source ${join(dir, 'fish')}; complete -C 'mailrelay ${words.join(' ')}'`);
    assert.equal(stderr, '');
    return stdout.split('\n').map((line) => line.split('\t')[0] ?? '');
  });
});

test('zsh reads its script', (context) => {
  const zsh = tryUnpack('zsh');
  if ('problem' in zsh) return context.skip(zsh.problem);
  const program = ['bin/zsh', 'usr/bin/zsh'].map((path) => join(zsh.root, path));
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', `p="$1"; [ -x "$p" ] || p="$2"; exec "$p" -f -n "$3"`, 'sh', ...program, join(dir, 'zsh')],
    { encoding: 'utf8' },
  );
  assert.deepEqual([status, stderr], [0, '']);
});

test('groff reads the man page without a warning, and it has every verb', {
  skip: spawnSync('groff', ['--version']).error !== undefined && 'needs groff',
}, () => {
  const { stdout, stderr } = spawnSync('groff', ['-man', '-ww', '-Tascii', '-P-cbou', MAN_PAGE], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  for (const words of ['mailrelay queue list', '-o, --output <format>', 'mailrelay lint', 'EXIT STATUS'])
    assert.ok(stdout.includes(words), words);
});
