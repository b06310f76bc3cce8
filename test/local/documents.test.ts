/** The examples of the project are valid, and show every field. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { mailRelaySchema, type Schema } from '#crds/schema.ts';
import { mailrelay } from '#test/kit/relay.ts';

const TOP = new URL('../../', import.meta.url).pathname;
const textOf = (path: string) => readFileSync(`${TOP}${path}`, 'utf8');

/** The first manifest of this project: it stays valid, as it is written, as long as the version is v1alpha1. */
const FIRST_MANIFEST = 'examples/full.yaml';

test('every example is valid', async () => {
  const { status, stdout } = await mailrelay(['lint', '-f', `${TOP}examples`]);
  assert.equal(status, 0, stdout);
  assert.ok(stdout.includes(`${TOP}${FIRST_MANIFEST}: MailRelay relay: ok`), stdout);
});

test('the examples show every field', () => {
  const shown = new Set<string>();
  for (const file of globSync('examples/*.yaml', { cwd: TOP })) {
    for (const document of parseAllDocuments(textOf(file))) {
      const value = document.toJS() as { kind?: string; spec?: unknown } | null;
      if (value?.kind === 'MailRelay') addFields(shown, 'spec', value.spec);
    }
  }
  const fields = parseFields('spec', mailRelaySchema().properties?.['spec'] ?? {});
  assert.ok(fields.length > 80);
  // The same clients, peers, hops, proxies, tables and certificate sources stand in several places: one place shows them.
  const places = (field: string) =>
    field
      .replace('spec.networkPolicy.metricsFrom[]', 'spec.inbound.listeners[].allowFrom[]')
      .replace(/^spec\.addresses\.(?:sender|bcc\.\w+)\.tables/, 'spec.addresses.recipient.tables')
      .replace('.allowFrom[].namespaceSelector', '.allowFrom[].podSelector')
      .replace('spec.inbound.listeners[].clients', 'spec.inbound.clients')
      .replace('spec.outbound.smartHosts[]', 'spec.outbound.routes[].hosts[]')
      .replace('spec.outbound.socksProxy', 'spec.outbound.routes[].socksProxy');
  const all = new Set([...shown].map(places));
  assert.deepEqual(
    fields.filter((field) => !all.has(places(field))),
    [],
  );
});

test('the examples show every login for next hops, and what is not the default of much asked fields', () => {
  const documents = globSync('examples/*.yaml', { cwd: TOP }).flatMap((file) =>
    parseAllDocuments(textOf(file)).map((one) => one.toJS() as { kind?: string; stringData?: object }),
  );
  const keys = new Set(
    documents.flatMap(({ kind, stringData = {} }) => (kind === 'Secret' ? Object.keys(stringData) : [])),
  );
  for (const key of ['password', 'clientSecret', 'tls.crt', 'serviceAccountKey'])
    assert.ok(keys.has(key), key);
  const relays = JSON.stringify(documents.filter(({ kind }) => kind === 'MailRelay'));
  for (const shown of ['"mail":"All"', '"headersOf":"All"', '"history":"7d"'])
    assert.ok(relays.includes(shown), shown);
});

/** Paths of the values in a document, lists by `[]`. */
function addFields(shown: Set<string>, path: string, value: unknown): void {
  shown.add(path);
  if (Array.isArray(value)) for (const item of value) addFields(shown, `${path}[]`, item);
  else if (value !== null && typeof value === 'object')
    for (const [key, inner] of Object.entries(value)) addFields(shown, `${path}.${key}`, inner);
}

function parseFields(path: string, { properties, items }: Schema): string[] {
  if (items) return parseFields(`${path}[]`, items);
  if (!properties) return [path];
  return Object.entries(properties).flatMap(([key, schema]) => parseFields(`${path}.${key}`, schema));
}
