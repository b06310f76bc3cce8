import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readYamlFile } from './yamlfiles.ts';

test('a value without quotes is read as kubectl and the API server read it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-yaml-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'values.yaml');
  // What sigs.k8s.io/yaml 1.6 makes of each.
  const values: Readonly<Record<string, unknown>> = {
    '2990-01-01T00:00:00Z': '2990-01-01T00:00:00Z',
    '2026-11-29': '2026-11-29',
    '2026-11-29 10:00:00': '2026-11-29 10:00:00',
    '10:30': '10:30',
    '1:30:00': '1:30:00',
    '22:22.5': '22:22.5',
    '010': 8,
    '1_000': 1000,
    '0x10': 16,
    yes: true,
    off: false,
    '~': null,
    '1.5': 1.5,
    '5d': '5d',
    '"2026-11-29"': '2026-11-29',
  };
  writeFileSync(file, `[${Object.keys(values).join(', ')}]\n`);
  const { documents, faults } = await readYamlFile(file);
  assert.deepEqual(faults, []);
  assert.deepEqual(documents[0]?.value, Object.values(values));
});
