/** Everything that the operator makes of a MailRelay, as whole files to read. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { validateMailRelay } from '#crds/validate.ts';
import { renderAll } from '#operator/render/index.ts';
import { changed, document } from '#test/fixtures/manifests.ts';
import { assertGolden } from './golden.ts';

const SETTINGS = {
  relayImage: 'registry.example/mailrelay:1.0.0',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: ['pull'],
  userIDs: 'Fixed' as const,
  operatorNamespace: 'mailrelay-system',
};

function rendered(value: unknown): string {
  const judged = validateMailRelay(value);
  assert.equal(judged.kind, 'valid', JSON.stringify(judged));
  const { manifest } = judged as Extract<typeof judged, { kind: 'valid' }>;
  const { name, namespace, spec } = manifest;
  const relay: MailRelay = {
    apiVersion: 'mailrelay.dev/v1alpha1',
    kind: 'MailRelay',
    metadata: { name, namespace, uid: '00000000-0000-0000-0000-000000000001', generation: 1 },
    spec,
  };
  const objects = renderAll(relay, effectivePolicy(relay.metadata, spec), SETTINGS);
  return objects
    .map((object) => stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 }))
    .join('---\n');
}

const example = (name: string) =>
  parse(readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8'));

test('the full example renders as reviewed', () => {
  assertGolden('full.yaml', rendered(example('full.yaml')));
});

test('pods and a Service of which everything is said render as reviewed', () => {
  assertGolden('loadbalancer.yaml', rendered(example('loadbalancer.yaml')));
});

test('everything around the pods renders as reviewed', () => {
  assertGolden('platform.yaml', rendered(example('platform.yaml')));
});

test('a resolver beside the relay renders as reviewed', () => {
  assertGolden('resolver.yaml', rendered(example('resolver.yaml')));
});

test('the smallest MailRelay renders as reviewed', () => {
  assertGolden('smallest.yaml', rendered(document(changed({}))));
});

test('a MailRelay without TLS renders as reviewed', () => {
  const spec = changed({
    tls: null,
    inbound: { starttls: 'Disabled', listeners: [{ name: 'smtp', port: 2525 }] },
  });
  assertGolden('plain.yaml', rendered(document(spec)));
});

test('rendering twice gives the same bytes', () => {
  assert.equal(rendered(document(changed({}))), rendered(document(changed({}))));
});
