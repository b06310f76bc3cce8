/**
 * The rules for packages of others: exact versions with a hash, from the registry alone, under permissive licences, and
 * without install scripts. What the programs use is for every processor. SECURITY.md promises them.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { addAddresses } from '#test/sbom.ts';

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  /** Where it is for some machines only. */
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly allowScripts?: Readonly<Record<string, boolean>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** Of SPDX: they allow use in any program, and ask for no more than their text beside it. */
const PERMISSIVE = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'PSF-2.0',
  'Python-2.0',
  'Unlicense',
  'Zlib',
]);
/** The list of licence exceptions of SPDX. The program that lists the packages needs it; the image does not have it. */
const PERMISSIVE_FOR_TOOLS = new Set([...PERMISSIVE, 'CC-BY-3.0']);
/** The package that brings Node has one by its nature. */
const WITH_SCRIPT = ['node'];
const EXACT = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;

const ROOT = new URL('../../', import.meta.url).pathname;

const read = (path: string) => JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'));

/** With OR one good licence is enough, with AND all must be good. */
function isPermissive(license: string, licenses: ReadonlySet<string>): boolean {
  const terms = license.replace(/^\(|\)$/g, '');
  return terms.split(' OR ').some((one) => one.split(' AND ').every((name) => licenses.has(name)));
}

/** Every breach of the rules, as sentences. */
function listBreaches(
  { dependencies, devDependencies = {}, allowScripts = {} }: Manifest,
  { packages }: Lock,
  licenses: ReadonlySet<string> = PERMISSIVE,
): string[] {
  const named = Object.entries({ ...dependencies, ...devDependencies });
  const locked = Object.entries(packages).filter(([path]) => path !== '');
  return [
    ...named
      .filter(([, version]) => !EXACT.test(version))
      .map(([name, version]) => `${name} is "${version}" in package.json: name one exact version`),
    ...locked.flatMap(([path, one]) => checkLocked(path, one, licenses)),
    ...Object.entries(allowScripts)
      .filter(([name, allowed]) => allowed && !WITH_SCRIPT.includes(name))
      .map(([name]) => `${name} may run an install script: take it out of allowScripts`),
  ];
}

function checkLocked(
  path: string,
  { version, integrity, resolved, license, link, dev, os, cpu, libc }: LockedPackage,
  licenses: ReadonlySet<string>,
): string[] {
  const isForeign = link === true || !/^(https:\/\/registry\.npmjs\.org\/|$)/.test(resolved ?? '');
  const machines = dev === true ? [] : [os ?? [], cpu ?? [], libc ?? []].flat();
  return [
    ...(machines.length > 0
      ? [`${path} is for ${machines.join(', ')} alone: the image has one for all`]
      : []),
    ...(isForeign ? [`${path} comes from ${resolved ?? 'a folder'}: take it from the registry`] : []),
    ...(EXACT.test(version) ? [] : [`${path} has the version "${version}"`]),
    ...(/^sha512-/.test(integrity ?? '') ? [] : [`${path} has no SHA-512 in package-lock.json`]),
    ...(isPermissive(license ?? '', licenses)
      ? []
      : [`${path} has the licence "${license}": find another package`]),
  ];
}

test('the packages of this project keep the rules', () => {
  assert.deepEqual(listBreaches(read('package.json'), read('package-lock.json')), []);
});

test('the audit leaves out no package of the programs', () => {
  const { packages } = read('package-lock.json') as Lock;
  const left = Object.entries(packages).filter(([, { optional, dev }]) => optional === true && dev !== true);
  assert.deepEqual(left, []);
});

test('the packages of the program that lists them keep the rules', () => {
  const [manifest, lock] = [read('.ci/sbom/package.json'), read('.ci/sbom/package-lock.json')];
  assert.deepEqual(listBreaches(manifest, lock, PERMISSIVE_FOR_TOOLS), []);
});

/** A project with our settings of npm and a package `a`, whose script writes a file. */
function makeProject(): string {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-scripts-'));
  copyFileSync(join(ROOT, '.npmrc'), join(dir, '.npmrc'));
  mkdirSync(join(dir, 'a'));
  const manifests = {
    'a/package.json': { name: 'a', version: '1.0.0', scripts: { install: 'echo ran > ran' } },
    'package.json': { name: 'b', version: '1.0.0', dependencies: { a: 'file:a' }, allowScripts: { a: true } },
  };
  for (const [path, value] of Object.entries(manifests))
    writeFileSync(join(dir, path), JSON.stringify(value));
  return dir;
}

test('the script of a package runs when it is named, and at no installation', () => {
  const dir = makeProject();
  // Variables of npm win over its files.
  const env = { PATH: process.env['PATH'], HOME: dir };
  const npm = (...words: string[]) =>
    execFileSync('npm', [...words, '--offline', '--no-audit', '--no-fund'], { cwd: dir, env, stdio: 'pipe' });
  const hasRun = () => existsSync(join(dir, 'node_modules', 'a', 'ran'));
  try {
    npm('install', '--install-links');
    assert.ok(statSync(join(dir, 'node_modules', 'a')).isDirectory());
    assert.equal(hasRun(), false);
    npm('rebuild', 'a', '--ignore-scripts=false');
    assert.equal(hasRun(), true);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('the Makefile lets only the named packages run theirs', () => {
  const makefile = readFileSync(join(ROOT, 'Makefile'), 'utf8');
  const named = [...makefile.matchAll(/^\tnpm (.*) --ignore-scripts=false/gm)].map(([, words]) => words);
  assert.deepEqual(
    named,
    WITH_SCRIPT.map((name) => `rebuild ${name}`),
  );
});

test('each package is listed with its address, without which its hash is not told', () => {
  const address = { version: '1.2.3', integrity: 'sha512-x' };
  const added = addAddresses({
    '': { version: '0.1.0' },
    'node_modules/a': address,
    'node_modules/a/node_modules/@b/c': address,
    'node_modules/d': { ...address, name: '@e/f' },
  });
  assert.deepEqual(
    Object.values(added as Record<string, { resolved?: string }>).map(({ resolved }) => resolved),
    [
      undefined,
      'https://registry.npmjs.org/a/-/a-1.2.3.tgz',
      'https://registry.npmjs.org/@b/c/-/c-1.2.3.tgz',
      'https://registry.npmjs.org/@e/f/-/f-1.2.3.tgz',
    ],
  );
  const { packages } = read('package-lock.json') as Lock;
  assert.deepEqual(listBreaches(read('package.json'), { packages: addAddresses(packages) }), []);
});

describe('a breach is found', () => {
  const manifest: Manifest = { dependencies: {}, devDependencies: {}, allowScripts: {} };
  const good: LockedPackage = { version: '1.0.0', integrity: 'sha512-x', license: 'MIT' };
  const lockOf = (changes: Partial<LockedPackage>): Lock => ({
    packages: { '': good, a: { ...good, ...changes } },
  });

  for (const version of [
    '^1.0.0',
    '~1.0.0',
    '1.x',
    '*',
    'latest',
    '1.0',
    'git+https://example.com/a.git',
    'file:../a',
  ])
    test(`the version ${version}`, () => {
      assert.equal(listBreaches({ ...manifest, dependencies: { a: version } }, lockOf({})).length, 1);
      assert.equal(listBreaches({ ...manifest, devDependencies: { a: version } }, lockOf({})).length, 1);
    });

  const changes: readonly [string, Partial<LockedPackage>][] = [
    ['a Git address', { resolved: 'git+ssh://git@example.com/a.git#0123' }],
    ['another host', { resolved: 'https://registry.npmjs.org.example.com/a.tgz' }],
    ['a folder', { link: true }],
    ['a weak hash', { integrity: 'sha1-x' }],
    ['a licence that binds', { license: 'GPL-3.0-only' }],
    ['two licences, one of which binds', { license: '(MIT AND AGPL-3.0-or-later)' }],
    ['no known licence', { license: 'SEE LICENSE IN LICENSE.txt' }],
    ['no licence', { license: '' }],
    ['one processor', { cpu: ['arm64'] }],
    [
      'one processor, also where npm may leave it out',
      { cpu: ['x64'], os: ['linux'], libc: ['glibc'], dev: false },
    ],
  ];
  for (const [name, change] of changes)
    test(name, () => assert.equal(listBreaches(manifest, lockOf(change)).length, 1));

  test('an install script that is allowed', () => {
    assert.equal(listBreaches({ ...manifest, allowScripts: { a: true } }, lockOf({})).length, 1);
    assert.deepEqual(listBreaches({ ...manifest, allowScripts: { a: false, node: true } }, lockOf({})), []);
  });

  test('and a tool of the tests for one processor is none', () => {
    assert.deepEqual(listBreaches(manifest, lockOf({ cpu: ['arm64'], os: ['linux'], dev: true })), []);
  });

  test('and a choice of licences is none', () => {
    assert.deepEqual(listBreaches(manifest, lockOf({ license: '(GPL-2.0-only OR MIT)' })), []);
  });
});
