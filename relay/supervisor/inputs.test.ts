import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { POLICY_FILE_NAME } from '#crds/policyfile.ts';
import { SCALE_FILE_NAME } from '#crds/scalefile.ts';
import { beforeReads } from '#test/kit/beforereads.ts';
import { mount, podDirs } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import { computeDigest, readInputs, watchInputs } from './inputs.ts';

const dirs = podDirs();
after(() => dirs.remove());

test('nothing mounted is nothing read', () => {
  const missing = join(dirs.root, 'nowhere');
  const inputs = readInputs({
    policyDir: missing,
    certificateDir: missing,
    secretsDir: missing,
    configMapsDir: missing,
  });
  assert.deepEqual(inputs, {
    policy: undefined,
    scale: undefined,
    authorities: undefined,
    cert: undefined,
    key: undefined,
    next: null,
    materials: NO_MATERIALS,
    tables: {},
  });
});

test('files are read through the link that a kubelet swaps, and plain files too', () => {
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: 'one' });
  mount(dirs.certificateDir, { 'tls.crt': 'cert', 'tls.key': 'key' });
  mkdirSync(join(dirs.configMapsDir, 'roots'));
  writeFileSync(join(dirs.configMapsDir, 'roots', 'b.pem'), 'B');
  writeFileSync(join(dirs.configMapsDir, 'roots', 'a.pem'), 'A');
  mkdirSync(join(dirs.secretsDir, 'users'));
  mount(join(dirs.secretsDir, 'users'), { 'me@example.com': 'hash' });
  const materials = {
    secrets: { users: { 'me@example.com': 'hash' } },
    configMaps: { roots: { 'a.pem': 'A', 'b.pem': 'B' } },
  };
  assert.deepEqual(readInputs(dirs), {
    policy: 'one',
    scale: undefined,
    authorities: undefined,
    cert: 'cert',
    key: 'key',
    next: null,
    materials,
    tables: {},
  });
});

test('the certificate that is served next is read beside the one that is served', () => {
  const nextCertificateDir = join(dirs.root, 'next');
  mkdirSync(join(nextCertificateDir, 'second'), { recursive: true });
  const before = computeDigest(readInputs({ ...dirs, nextCertificateDir }));
  mount(join(nextCertificateDir, 'second'), { 'tls.crt': 'next', 'tls.key': 'its key' });
  const inputs = readInputs({ ...dirs, nextCertificateDir });
  assert.deepEqual([inputs.cert, inputs.next], ['cert', { secret: 'second', cert: 'next', key: 'its key' }]);
  assert.notEqual(computeDigest(inputs), before);
});

test('contents are compared, not times', () => {
  const before = computeDigest(readInputs(dirs));
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: 'one' });
  assert.equal(computeDigest(readInputs(dirs)), before);
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: 'two' });
  assert.notEqual(computeDigest(readInputs(dirs)), before);
});

for (const pollMs of [20, 3_600_000]) {
  const by = pollMs === 20 ? 'the poll' : 'the watch alone';
  test(`ten rotations are each seen by ${by}`, async () => {
    let seen = '';
    const stop = watchInputs(
      dirs,
      () => {
        seen = readInputs(dirs).policy ?? '';
      },
      pollMs,
    );
    for (let round = 0; round < 10; round++) {
      mount(dirs.policyDir, { [POLICY_FILE_NAME]: `${by} ${round}` });
      await eventually(() => seen === `${by} ${round}`);
    }
    stop();
  });
}

test('a folder that appears later is found', async () => {
  const policyDir = join(dirs.root, 'later');
  let seen: string | undefined;
  const stop = watchInputs(
    { ...dirs, policyDir },
    () => {
      seen = readInputs({ ...dirs, policyDir }).policy;
    },
    20,
  );
  mkdirSync(policyDir);
  mount(policyDir, { [POLICY_FILE_NAME]: 'here' });
  await eventually(() => seen === 'here');
  rmSync(policyDir, { recursive: true });
  await eventually(() => seen === undefined);
  stop();
});

test('a link that is swapped while its folder is read gives all files of the new folder, and no part of the old one', (t) => {
  const users = join(dirs.secretsDir, 'users');
  mount(users, { a: 'old', b: 'old' });
  mount(dirs.certificateDir, { 'tls.crt': 'old', 'tls.key': 'old' });
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: 'old', [SCALE_FILE_NAME]: 'old' });
  const second = new Map([
    ['b', users],
    ['tls.key', dirs.certificateDir],
    [SCALE_FILE_NAME, dirs.policyDir],
  ]);
  beforeReads(t, (path) => {
    const [name, dir] = [basename(path), second.get(basename(path))];
    if (dir === undefined || !second.delete(name)) return;
    const old = join(dir, readlinkSync(join(dir, '..data')));
    mount(dir, Object.fromEntries(readdirSync(old).map((one) => [one, 'new'])));
    rmSync(old, { recursive: true });
  });
  const { policy, scale, cert, key, materials } = readInputs(dirs);
  assert.deepEqual([policy, scale, cert, key], ['new', 'new', 'new', 'new']);
  assert.deepEqual(materials.secrets['users'], { a: 'new', b: 'new' });
});

test('where the system has no means to read, nothing is told to be missing, and the words name the file', (t) => {
  beforeReads(t, () => {
    throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
  });
  assert.throws(() => readInputs(dirs), /^Error: Cannot read ".*policy.*": too many files are open$/);
});
