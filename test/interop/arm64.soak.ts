/**
 * The image for arm64 on a machine of another processor: built, unpacked, and run as a container would run it, with
 * QEMU for each program. `make soak` alone waits for it, on a machine that does little else: how long anything takes says
 * nothing about arm64.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { installPackages } from '#test/cluster/packages.ts';
import { Emulation } from '#test/kit/emulation.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const BUILD = new URL('../cluster/run.ts', import.meta.url).pathname;
const CLUSTER_USER = 65_532;
/** What CHANGELOG.md promises. */
const LARGEST_BYTES = 200e6;
/** A program takes ten times as long under QEMU. So do the times here within which a part of a relay must be ready. */
const UP_WITHIN_MS = 300_000;
const LONGER_TIMES = `const { setTimeout } = globalThis;
const longer = (work, ms, ...rest) => setTimeout(work, ms >= 10_000 ? 10 * ms : ms, ...rest);
globalThis.setTimeout = Object.defineProperties(longer, Object.getOwnPropertyDescriptors(setTimeout));
`;
const { version: VERSION } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
/** The first bytes of an ELF file, and its processor at byte 18. */
const ELF = Buffer.from('\x7fELF');
const ARM64 = 0xb7;

interface Config {
  readonly architecture: string;
  readonly os: string;
  readonly config: {
    readonly User: string;
    readonly Env: readonly string[];
    readonly Entrypoint: readonly string[];
  };
}

const skip = process.arch === 'arm64' && 'this machine has that processor: all other tests run on it';

describe('the image for arm64', { skip, concurrency: false }, () => {
  let emulation: Emulation;
  let dir = '';
  let root = '';
  let config: Config;
  let sink: Sink;

  function run(command: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
    const [program = '', ...args] = [...emulation.enter, ...command];
    return execFileSync(program, args, { encoding: 'utf8', env, maxBuffer: 64 * 2 ** 20 });
  }

  /** The command that runs the command after it by the settings of the image, and these variables. */
  function inside(...variables: readonly string[]): string[] {
    const { User, Env } = config.config;
    return [
      ...['chroot', `--userspec=${User}`, root],
      ...['/bin/busybox', 'env', '-i', ...Env, ...variables],
    ];
  }

  before(async () => {
    installPackages();
    sink = await Sink.start({ port: await freePort() });
    emulation = await Emulation.start();
    dir = mkdtempSync(join(tmpdir(), 'mailrelay-arm64-'));
    root = join(dir, 'root');
    const env = { ...process.env, PLATFORM: 'linux/arm64' };
    config = unpack(run([process.execPath, BUILD, 'image'], env).trim(), dir, root);
    // What a container gets besides: the kernel's files, and a volume.
    const volume = join(dir, 'volume');
    for (const path of ['/proc', '/dev', volume]) mkdirSync(join(root, path), { recursive: true });
    mkdirSync(volume);
    chownSync(volume, CLUSTER_USER, CLUSTER_USER);
    for (const path of ['/proc', '/dev', volume]) run(['mount', '--rbind', path, join(root, path)]);
  });

  after(async () => {
    // What was mounted is seen by the processes of the emulation alone, and goes with them.
    await emulation?.stop();
    await sink?.down();
    rmSync(dir, { recursive: true, force: true });
  });

  test('says so, is as small as promised, and has no program for another processor', (context) => {
    assert.deepEqual([config.os, config.architecture], ['linux', 'arm64']);
    const files = listFiles(root);
    const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
    context.diagnostic(`${Math.round(bytes / 1e6)} MB unpacked, ${files.length} files`);
    assert.ok(bytes < LARGEST_BYTES, `${bytes} bytes`);
    const programs = files.filter(({ content }) => content.subarray(0, ELF.length).equals(ELF));
    const foreign = programs.filter(({ content }) => content.readUInt16LE(18) !== ARM64);
    assert.deepEqual(
      foreign.map(({ path }) => path),
      [],
    );
    for (const name of ['usr/local/bin/node', 'bin/busybox'])
      assert.ok(
        programs.some(({ path }) => path === name),
        name,
      );
  });

  test('runs, and finds the code that was compiled for this processor when it was built', (context) => {
    assert.match(run([...inside(), 'node', '-p', 'process.arch']), /^arm64$/m);
    const told = run([
      ...inside('NODE_DEBUG_NATIVE=COMPILE_CACHE'),
      ...['sh', '-c', 'mailrelay --version 2>&1'],
    ]);
    assert.ok(told.split('\n').includes(VERSION), told);
    const [folder = '', ...others] = readdirSync(join(root, 'app/.compiled'));
    assert.match(folder, /^v[\d.]+-arm64-/);
    assert.deepEqual(others, []);
    const count = (words: RegExp) => told.match(words)?.length ?? 0;
    context.diagnostic(`${count(/was accepted/g)} files compiled before`);
    assert.ok(count(/was accepted/g) > 10, told);
    assert.equal(count(/was rejected/g), 0, told);
  });

  test('takes a message with STARTTLS and delivers it', async (context) => {
    const [node = '', launcher = ''] = config.config.Entrypoint;
    const volume = join(dir, 'volume');
    writeFileSync(join(volume, 'longertimes.mjs'), LONGER_TIMES);
    const relay = await TestRelay.start({
      dir: volume,
      manifest: ([port]) => storyManifest({ port, nextHop: sink.port, starttls: 'Required' }),
      through: [
        ...emulation.enter,
        ...inside(`NODE_OPTIONS=--import=${join(volume, 'longertimes.mjs')}`),
        node,
      ],
      launcher,
      upWithinMs: UP_WITHIN_MS,
    });
    try {
      const client = await SmtpClient.connect(relay.ports[0] ?? 0);
      await client.hello();
      await client.secure({ ca: relay.ca(), servername: 'relay.example.com' });
      context.diagnostic(`${client.tls?.getProtocol()}, ${client.tls?.getCipher().name}`);
      const reply = await client.send('a@client.example', ['b@example.com'], messageText('emulated'));
      assert.match(reply, /^250 2\.0\.0 Ok: queued as /);
      await client.quit();
      await until('the message', () => sink.counts().get('emulated') === 1);
      await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
      assert.equal(await relay.stop(), 0);
    } finally {
      await relay.remove();
    }
  });
});

/** The layers of the archive on top of each other; gives the settings of the image. */
function unpack(archive: string, dir: string, root: string): Config {
  const layers = join(dir, 'layers');
  for (const folder of [layers, root]) mkdirSync(folder);
  const tar = (...args: string[]) => execFileSync('tar', args);
  const read = (name: string) => JSON.parse(readFileSync(join(layers, name), 'utf8'));
  tar('-xf', archive, '-C', layers);
  const [{ Config, Layers }] = read('manifest.json') as [{ Config: string; Layers: readonly string[] }];
  for (const layer of Layers) tar('-xpf', join(layers, layer), '-C', root);
  return read(Config);
}

function listFiles(root: string): { readonly path: string; readonly content: Buffer }[] {
  const entries = readdirSync(join(root), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .map((path) => ({ path: path.slice(root.length + 1), content: readFileSync(path) }));
}
