/**
 * The API server and our copy of its schema agree at every value at which parsers disagree: they accept and refuse the
 * same values as `mailrelay lint`, and a documented default returns when the field is removed.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { validateMailRelay } from '#crds/validate.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { BOUNDARIES } from '#test/fixtures/boundaries.ts';
import { changed, document } from '#test/fixtures/manifests.ts';
import { type Plane, plane } from './plane.ts';

const NAMESPACE = 'boundaries';

describe('values at the bounds', { concurrency: false }, () => {
  let api: Plane;

  before(async () => {
    api = await plane();
    await api.makeNamespace(NAMESPACE);
  });

  async function isTaken(spec: Readonly<Record<string, unknown>>): Promise<boolean> {
    const body = document(changed(spec), 'relay', NAMESPACE) as unknown as KubeObject;
    try {
      await api.admin.request({
        method: 'POST',
        path: apiPath(MAIL_RELAY, NAMESPACE),
        query: { dryRun: 'All' },
        body,
      });
      return true;
    } catch (error) {
      if (isKubeError(error, 'invalid')) return false;
      throw error;
    }
  }

  for (const { field, at, values } of BOUNDARIES) {
    test(field, async () => {
      for (const value of values) {
        const mirrored = validateMailRelay(document(changed(at(value)), 'relay', NAMESPACE)).kind === 'valid';
        assert.equal(await isTaken(at(value)), mirrored, `${field}: ${JSON.stringify(value)}`);
      }
    });
  }
});
