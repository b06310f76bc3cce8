/** `make run` at a terminal and without one, from a copy of the clone, whose state is nobody else's. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { Look } from '#cli/console/api.ts';
import { ConsoleProcess } from '#test/kit/console.ts';
import { isListening } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';

const TOP = new URL('../../', import.meta.url).pathname;
const README = readFileSync(join(TOP, 'README.md'), 'utf8');
const ESCAPE = '\x1b';
const SECOND_SCREEN = `${ESCAPE}[?1049h`;
const FIRST_SCREEN = `${ESCAPE}[?1049l`;
// biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a terminal gets
const CONTROL = /\x1b\[[0-9;?]*[a-zA-Z]/g;

// A newcomer's shell is not below another make, which would tell of each folder that it enters.
for (const name of ['MAKEFLAGS', 'MAKELEVEL', 'MFLAGS']) delete process.env[name];

let clone: string;

before(() => {
  clone = mkdtempSync(join(tmpdir(), 'mailrelay-clone-'));
  for (const name of readdirSync(TOP).filter((one) => one !== '.state'))
    symlinkSync(join(TOP, name), join(clone, name));
});

after(() => rmSync(clone, { recursive: true, force: true }));

/** What a test started, each with a group of its own: it ends with the test, also when an assertion failed. */
const leaders: ChildProcess[] = [];

afterEach(() => {
  for (const { pid, exitCode, signalCode } of leaders.splice(0))
    if (pid && exitCode === null && signalCode === null) process.kill(-pid, 'SIGTERM');
});

class Screen {
  readonly child: ChildProcess;
  output = '';

  constructor(command: string, env: Readonly<Record<string, string>> = {}) {
    // Its terminal does not know its size: there is none behind the pipe. Without exec a shell may stay, and Ctrl-C ends
    // it with a status of its own.
    this.child = spawn('script', ['--quiet', '--return', '--command', `exec ${command}`, '/dev/null'], {
      cwd: clone,
      env: { ...process.env, TERM: 'xterm', ...env },
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    leaders.push(this.child);
    this.child.stdout?.on('data', (chunk) => {
      this.output += chunk;
    });
  }

  /** The lines that the terminal shows. */
  shown(): string {
    const frame = this.output.split(`${ESCAPE}[H`).at(-1) ?? '';
    return frame.replace(CONTROL, '').replaceAll('\r', '');
  }

  shows(text: string): Promise<unknown> {
    return until(`"${text}" on the screen`, () => this.shown().includes(text), 60_000);
  }

  resize(columns: number, rows: number): void {
    const terminal = readlinkSync(`/proc/${findRelay()}/fd/1`);
    execFileSync('stty', ['-F', terminal, 'cols', String(columns), 'rows', String(rows)]);
  }

  async end(): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => this.child.once('close', resolve));
    this.child.stdin?.write('\x03');
    return ended;
  }
}

function findRelay(): number {
  const found = globSync('/proc/[0-9]*/cwd').find((link) => {
    try {
      const words = readFileSync(link.replace(/cwd$/, 'cmdline'), 'utf8');
      return readlinkSync(link) === clone && words.includes('/cli/main.ts\0run\0');
    } catch {
      return false;
    }
  });
  return Number(found?.split('/')[2]);
}

function paste(command: string) {
  return spawnSync('sh', ['-c', command], { cwd: tmpdir(), encoding: 'utf8' });
}

test('make run at a terminal: the pasted command ends in a delivered message that can be looked at', async () => {
  const [, first = ''] = /```\n(.*)\nmake test\n```/.exec(README) ?? [];
  assert.equal(first, 'make run');
  const screen = new Screen(first, { NO_COLOR: '1' });
  await screen.shows('is ready');
  screen.child.stdin?.write('typed by mistake\n');
  // A frame may come in pieces.
  const readCommand = () => /Send a message through it:\n([\s\S]*?)\n\n/.exec(screen.shown())?.[1];
  const command = await until('the command', readCommand);
  const { status, stdout, stderr } = paste(command);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^250 .*\nTLSv1\.3 /);
  screen.resize(100, 40);
  await screen.shows('000001.eml  me@relay.example.com to postmaster@example.com, TLSv1.3');
  await screen.shows('by 127.0.0.1:2525: delivered, TLSv1.3');
  const folder = join(clone, '.state/default-relay/sink');
  assert.ok(screen.shown().includes(folder));
  assert.match(
    readFileSync(join(folder, '000001.eml'), 'utf8'),
    /^Subject: A message through the relay\r\n/m,
  );

  const page = await ConsoleProcess.start(['console', '--state', join(clone, '.state/default-relay')]);
  const { origin } = new URL(page.url);
  const opened = await fetch(page.url, { redirect: 'manual' });
  const cookie = opened.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const look = await fetch(`${origin}/api/look?after=0`, { headers: { cookie } });
  const { taken } = (await look.json()) as Look;
  assert.deepEqual(
    taken.map(({ file, tls }) => [file, tls?.version]),
    [[join(folder, '000001.eml'), 'TLSv1.3']],
  );
  assert.equal(await page.stop(), 0);

  screen.resize(40, 8);
  await screen.shows('more lines: make the window');
  const lines = screen.shown().split('\n');
  assert.ok(lines.length <= 8 && lines.every((line) => line.length <= 40), lines.join('\n'));

  assert.equal(await screen.end(), 0);
  assert.match(
    screen.output.split(FIRST_SCREEN)[1] ?? '',
    /^The relay has ended\. Its log: .*relay\.log\s*$/,
  );
  assert.ok(!screen.output.includes('"event"'), 'the log is on the screen');
  assert.ok(!screen.output.includes('typed by mistake'), 'keys are echoed');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a style is an escape sequence that ends in m
  assert.doesNotMatch(screen.output, /\x1b\[[0-9;]*m/, 'styles in spite of NO_COLOR');
  const log = readFileSync(join(clone, '.state/default-relay/relay.log'), 'utf8');
  for (const event of ['accepted', 'delivered', 'stopped'])
    assert.ok(log.includes(`"event":"${event}"`), event);
});

test('make run without a terminal prints plain lines, and each message that the sink takes', async () => {
  const child = spawn('make', ['run'], { cwd: clone, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  leaders.push(child);
  let [text, log] = ['', ''];
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  await until('the relay', () => /The last hundred messages are in .*\n/.test(text), 60_000);
  const { status, stderr } = paste(
    text.split('\n').find((line) => line.includes('mailrelay send')) ?? 'false',
  );
  assert.equal(status, 0, stderr);
  await until('the message', () => /message 2: me@relay.example.com to postmaster@example.com\n/.test(text));
  const [, pager = ''] = /^ +less (\S+)$/m.exec(text) ?? [];
  assert.match(readFileSync(pager, 'utf8'), /^Subject: A message/m);
  await until('the delivery in the log', () => log.includes('"event":"delivered"'));
  assert.ok(!text.includes(ESCAPE));
  const ended = new Promise((resolve) => child.once('close', resolve));
  process.kill(-(child.pid ?? 0), 'SIGINT');
  await ended;
});

test('--log and a terminal that cannot move its cursor have plain lines too, and another next hop is left alone', async () => {
  const other = spawn(join(TOP, 'bin/mailrelay'), ['sink', '--keep', join(clone, 'other')], {
    detached: true,
    stdio: 'ignore',
  });
  leaders.push(other);
  await until('the other next hop', () => isListening(2525));
  const run = 'bin/mailrelay run -f examples/mailrelay.yaml --sink 2525';
  for (const [command, env] of [
    [`${run} --log`, {}],
    [run, { TERM: 'dumb' }],
  ] as const) {
    const screen = new Screen(command, env);
    await until('the relay', () => screen.output.includes('Send a message'), 60_000);
    assert.match(
      screen.output,
      /Without a sink: The sink cannot listen at 127\.0\.0\.1 port 2525: the port is in use/,
    );
    assert.ok(!screen.output.includes(SECOND_SCREEN) && screen.output.includes('"event":"'));
    assert.equal(await screen.end(), 0);
  }
});
