/** The manifest of `kubectl mailrelay` by the rules that krew has for a plugin of its index (v1alpha2). */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { krewManifest, type Platform } from '#test/cluster/plugin.ts';

const TOP = new URL('../../', import.meta.url);
const PLATFORMS: readonly Platform[] = [
  { os: 'linux', arch: 'amd64' },
  { os: 'linux', arch: 'arm64' },
  { os: 'darwin', arch: 'arm64' },
];
const { version } = JSON.parse(readFileSync(new URL('package.json', TOP), 'utf8'));

for (const platform of PLATFORMS)
  test(`krew takes the manifest for ${platform.os} on ${platform.arch}`, () => {
    const uri = 'https://releases.example.com/archive.tar.gz';
    const text = krewManifest({ ...platform, version, uri, sha256: 'a'.repeat(64) });
    const { apiVersion, kind, metadata, spec, ...rest } = parse(text);
    assert.deepEqual(
      [apiVersion, kind, metadata, rest],
      ['krew.googlecontainertools.github.com/v1alpha2', 'Plugin', { name: 'mailrelay' }, {}],
    );
    const { homepage, shortDescription, description, caveats, platforms, ...others } = spec;
    // krew wants the v, and a version of three parts.
    assert.deepEqual(others, { version: `v${version}` });
    assert.match(others.version, /^v\d+\.\d+\.\d+(-[\w.]+)?$/);
    assert.match(homepage, /^https:/);
    assert.match(shortDescription, /^[^\n]{1,80}$/);
    assert.ok(description.trim() !== '' && caveats.trim() !== '');
    assert.deepEqual(platforms, [
      { selector: { matchLabels: platform }, uri, sha256: 'a'.repeat(64), bin: 'bin/kubectl-mailrelay' },
    ]);
    for (const name of ['kubectl-mailrelay', 'kubectl_complete-mailrelay'])
      assert.ok(existsSync(new URL(`bin/${name}`, TOP)));
  });
