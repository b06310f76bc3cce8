import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { addressesOf, policyOf } from '#test/kit/relayrig.ts';
import { readMailbox } from '../addresses/address.ts';
import { TableBuilder } from '../addresses/tablefile.ts';
import { MapSources } from './mapsources.ts';

test('a table that cannot be opened for the moment is opened some seconds later, and kept from then on', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-maps-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'table');
  const parts = { parts: ['Envelope' as const], headersOf: 'Submitted' as const };
  const map = { entries: [], tables: [{ kind: 'ConfigMap' as const, name: 'aliases', key: 'virtual' }] };
  const policy = policyOf({}, {}, { addresses: addressesOf({ recipient: { map, ...parts } }) });
  const materials = {
    secrets: {},
    configMaps: {},
    tables: { 'ConfigMap/aliases/virtual': { path, fault: null } },
  };
  let now = 0;
  const sources = new MapSources(policy, materials, () => now);
  const mailbox = readMailbox('a@example.com');
  assert.ok(mailbox);
  const find = () => sources.maps.recipient?.(mailbox);
  assert.deepEqual(find(), { kind: 'unreadable' });
  const table = new TableBuilder();
  table.add('a@example.com', { kind: 'addresses', to: ['b@example.com'] });
  writeFileSync(path, table.finish().bytes);
  now = 4_999;
  assert.deepEqual(find(), { kind: 'unreadable' });
  now = 5_000;
  assert.deepEqual(find(), { kind: 'addresses', to: ['b@example.com'] });
  rmSync(path);
  now = 60_000;
  assert.deepEqual(find(), { kind: 'addresses', to: ['b@example.com'] });
});
