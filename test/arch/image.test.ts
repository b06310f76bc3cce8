/** What the image holds: everything that the sources load, nothing for one kind of processor, and one version number. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { processorOf } from '#test/cluster/processors.ts';
import { parseIgnoreFile } from '#test/kit/ignorefile.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const SOURCES = ['crds', 'relay', 'operator', 'cli'];
/** ELF, Mach-O in both byte orders and fat, and the programs of Windows. */
const NATIVE = /^(7f454c46|feedfac|cefaedfe|cffaedfe|cafebabe|4d5a)/;
/** Of Node and these files. The base, and the code compiled from them, take 16 MB more. README.md and CHANGELOG.md name the sum. */
const LARGEST_BYTES = 184e6;
/** These begin work when they are loaded. `cli/compile.ts` loads them as a start does. */
const PROGRAM = /(^|\/)(main|compile|generate)\.ts$/;

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const { version, dependencies } = JSON.parse(read('package.json'));

const isInImage = parseIgnoreFile(read('.dockerignore'));

/** The folders of the packages that `npm ci --omit=dev` installs. */
function listProductionPackages(): string[] {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  const named = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  return named.map(([path]) => path).filter((path) => existsSync(join(ROOT, path)));
}

function listFiles(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name).slice(ROOT.length)).filter(isInImage);
}

function firstBytes(path: string): string {
  const file = openSync(path, 'r');
  const bytes = Buffer.alloc(4);
  try {
    readSync(file, bytes);
  } finally {
    closeSync(file);
  }
  return bytes.toString('hex');
}

describe('the files of the image', () => {
  let folder = '';
  const files: string[] = [];

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mailrelay-image-'));
    // A package may lie in the folder of another one.
    const found = new Set([...listProductionPackages(), ...SOURCES].flatMap(listFiles));
    files.push('package.json', ...found);
    for (const path of files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      copyFileSync(join(ROOT, path), join(folder, path));
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('are no tests, no declarations and no maps', () => {
    assert.ok(files.length > 1_000, `${files.length} files`);
    assert.deepEqual(
      files.filter((path) => /\.test\.ts$|\.d\.[mc]?ts$|\.map$/.test(path)),
      [],
    );
  });

  test('leave the image as small as promised', () => {
    const bytes = [process.execPath, ...files.map((path) => join(ROOT, path))]
      .map((path) => statSync(path).size)
      .reduce((sum, size) => sum + size, 0);
    assert.ok(bytes < LARGEST_BYTES, `${bytes} bytes`);
  });

  test('run on every processor that Node runs on', () => {
    assert.deepEqual(
      files.filter((path) => NATIVE.test(firstBytes(join(ROOT, path)))),
      [],
    );
  });

  test('are all that the sources load', () => {
    const sources = files.filter((path) => path.endsWith('.ts') && !PROGRAM.test(path));
    const script = [...sources, 'cli/compile.ts'].map((path) => `import './${path}';`).join('\n');
    writeFileSync(join(folder, 'everything.mjs'), script);
    const options = { cwd: folder, encoding: 'utf8', stdio: 'pipe' } as const;
    // The last one ends with the version.
    const printed = execFileSync(process.execPath, ['everything.mjs'], options);
    assert.ok(printed.includes(version), printed);
  });
});

test('the image is built for the two processors that it is for, and for no other', () => {
  assert.deepEqual(['linux/amd64', 'linux/arm64'].map(processorOf), ['amd64', 'arm64']);
  for (const platform of ['arm64', 'linux/s390x', 'windows/amd64', 'linux/arm64/v8', ''])
    assert.throws(() => processorOf(platform), /may be linux\/amd64 or linux\/arm64$/, platform);
});

test('a machine that lacks what builds the image is told what to install', () => {
  const builder = join(ROOT, 'test/cluster/run.ts');
  // Of an image that is not there yet, on a machine without programs.
  const env = { HOME: process.env['HOME'], PATH: '/nowhere', REVISION: 'nobody' };
  const { status, stderr } = spawnSync(process.execPath, [builder, 'image'], { env, encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /^cluster: Not installed: buildah\b.*On Debian: apt-get install buildah\b/m);
});

test('the image, the chart and the package have one version, and the Node is that of the package', () => {
  const dockerfile = read('Dockerfile');
  assert.ok(dockerfile.includes(`org.opencontainers.image.version="${version}"`), version);
  assert.match(dockerfile, new RegExp(`^ARG NODE_IMAGE=\\S+/node:${dependencies.node}-slim$`, 'm'));
  assert.match(read('charts/mailrelay-operator/Chart.yaml'), new RegExp(`^appVersion: ${version}$`, 'm'));
});
