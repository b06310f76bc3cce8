/**
 * What is written for cert-manager, against its real CRDs: of an old version that clusters still have, and of the one of the
 * test cluster. An API server refuses a field that the CRD does not have, and the relay would be Stalled by it.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { renderAll } from '#operator/render/index.ts';
import { SPECS } from '#test/fixtures/fullspec.ts';
import { relayObject, SETTINGS } from '#test/fixtures/world.ts';
import { faultsOf, specSchema } from './crdschema.ts';
import { problem } from './rendered.ts';

const MODULE = 'github.com/cert-manager/cert-manager';
const CRDS: readonly (readonly [version: string, path: string])[] = [
  ['1.12.0', 'deploy/crds/crd-certificates.yaml'],
  ['1.21.2', 'deploy/crds/cert-manager.io_certificates.yaml'],
];
const ISSUER = { issuerRef: { name: 'ca' } };
const SPEC: readonly Readonly<Record<string, unknown>>[] = [
  SPECS.full,
  { tls: ISSUER },
  { tls: { ...ISSUER, internal: ISSUER, certificates: [{ hostnames: ['b.example'], ...ISSUER }] } },
];

describe('the Certificates of a relay', { skip: problem }, () => {
  for (const [version, path] of CRDS)
    test(`are known to version ${version} of cert-manager, field by field`, async () => {
      const schema = await specSchema(`${MODULE}@v${version}`, path);
      for (const spec of SPEC) {
        const relay = relayObject(spec);
        const objects = renderAll(relay, effectivePolicy(relay.metadata, relay.spec), SETTINGS);
        const found = objects.filter(({ kind }) => kind === 'Certificate');
        assert.ok(found.length > 0);
        for (const { spec: wanted } of found) assert.deepEqual(faultsOf(wanted, schema, 'spec'), []);
      }
    });
});
