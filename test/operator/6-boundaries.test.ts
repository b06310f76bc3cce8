/**
 * The API server and our copy of its schema agree at every value at which parsers disagree: they accept and refuse the
 * same values as `mailrelay lint`, and a documented default returns when the field is removed. What was stored before a
 * tolerated rule existed keeps no other change from being written.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { validateMailRelay } from '#crds/validate.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { BOUNDARIES } from '#test/fixtures/boundaries.ts';
import { DOMAIN_FIELDS, valuesOf } from '#test/fixtures/domains.ts';
import { changed, document } from '#test/fixtures/manifests.ts';
import { GOOD_METADATA, WRONG_BESIDE, WRONG_METADATA } from '#test/fixtures/metadata.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';

const NAMESPACE = 'boundaries';

describe('values at the bounds', { concurrency: false }, () => {
  let api: Plane;

  before(async () => {
    api = await plane();
    await api.makeNamespace(NAMESPACE);
  });

  const isTaken = (spec: Readonly<Record<string, unknown>>) =>
    isDocumentTaken(document(changed(spec), 'relay', NAMESPACE));

  /** As kubectl asks: with fields that are not known as errors. */
  async function isDocumentTaken(value: object): Promise<boolean> {
    try {
      await api.admin.request({
        method: 'POST',
        path: apiPath(MAIL_RELAY, NAMESPACE),
        query: { dryRun: 'All', fieldValidation: 'Strict' },
        body: value as KubeObject,
      });
      return true;
    } catch (error) {
      if (isKubeError(error, 'invalid')) return false;
      throw error;
    }
  }

  test('metadata, and fields beside spec', async () => {
    const good = document(changed({}), 'relay', NAMESPACE);
    const withMetadata = (more: object) => ({ ...good, metadata: { ...Object(good['metadata']), ...more } });
    for (const metadata of GOOD_METADATA)
      assert.equal(await isDocumentTaken(withMetadata(metadata)), true, JSON.stringify(metadata));
    for (const { metadata } of WRONG_METADATA)
      assert.equal(await isDocumentTaken(withMetadata(metadata)), false, JSON.stringify(metadata));
    for (const { fields } of WRONG_BESIDE)
      assert.equal(await isDocumentTaken({ ...good, ...fields }), false, JSON.stringify(fields));
  });

  const domains = DOMAIN_FIELDS.map(({ reading, ...field }) => ({ ...field, values: valuesOf(reading) }));
  for (const { field, at, values } of [...BOUNDARIES, ...domains]) {
    test(field, async () => {
      for (const value of values) {
        const mirrored = validateMailRelay(document(changed(at(value)), 'relay', NAMESPACE)).kind === 'valid';
        assert.equal(await isTaken(at(value)), mirrored, `${field}: ${JSON.stringify(value)}`);
      }
    });
  }

  test('an issuer that was stored before the rule about it', async () => {
    const crd = apiPath(
      { kind: '', apiVersion: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions' },
      undefined,
      'mailrelays.mailrelay.dev',
    );
    const name = 'stored';
    const write = async (method: 'POST' | 'PATCH', body: object, dryRun = true) => {
      const at = method === 'POST' ? apiPath(MAIL_RELAY, NAMESPACE) : apiPath(MAIL_RELAY, NAMESPACE, name);
      const how = method === 'POST' ? {} : { contentType: 'application/merge-patch+json' as const };
      const query = dryRun ? { dryRun: 'All' } : {};
      try {
        await api.admin.request({ method, path: at, query, ...how, body });
        return true;
      } catch (error) {
        if (isKubeError(error, 'invalid')) return false;
        throw error;
      }
    };
    const replace = async (change: (text: string) => string) => {
      const live = await api.admin.request<KubeObject>({ method: 'GET', path: crd });
      const body = JSON.parse(change(JSON.stringify(live['spec']))) as object;
      await api.admin.request({
        method: 'PATCH',
        path: crd,
        contentType: 'application/merge-patch+json',
        body: { spec: body },
      });
    };
    const issuerRef = { name: 'step', group: 'certmanager.step.sm' };
    const bad = document(changed({ tls: { issuerRef } }), name, NAMESPACE);
    const rule = "has(self.kind) || !has(self.group) || self.group == 'cert-manager.io'";
    assert.equal(await write('POST', bad), false);
    await replace((text) => text.replaceAll(rule, 'true'));
    try {
      await until('the schema before the rule', () => write('POST', bad));
      await write('POST', bad, false);
    } finally {
      await replace((text) => text.replaceAll('"rule":"true"', `"rule":"${rule}"`));
    }
    const other = { ...bad, metadata: { name: 'other', namespace: NAMESPACE } };
    await until('the rule', async () => !(await write('POST', other)));
    assert.equal(await write('PATCH', { spec: { replicas: 3 } }), true, 'another change');
    assert.equal(await write('PATCH', { spec: { tls: { dnsNames: ['a.example'] } } }), true, 'beside it');
    assert.equal(
      await write('PATCH', { spec: { tls: { issuerRef: { name: 'b' } } } }),
      false,
      'of the issuer',
    );
    assert.equal(
      await write('PATCH', { spec: { tls: { issuerRef: { kind: 'StepIssuer' } } } }),
      true,
      'the cure',
    );
    await api.admin.request({ method: 'DELETE', path: apiPath(MAIL_RELAY, NAMESPACE, name) });
  });
});
