/**
 * The rules for packages of others: exact versions with a hash, from the registry alone, under permissive licences, and
 * without install scripts. What the programs use is for every processor. SECURITY.md promises them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
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

test('the packages of the program that lists them keep the rules', () => {
  const [manifest, lock] = [read('.ci/sbom/package.json'), read('.ci/sbom/package-lock.json')];
  assert.deepEqual(listBreaches(manifest, lock, PERMISSIVE_FOR_TOOLS), []);
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
