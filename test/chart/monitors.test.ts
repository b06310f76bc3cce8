/**
 * What is written for the Prometheus operator, against its real CRDs: of a version from before its field `portNumber`, of
 * the one that came with it, and of a later one. An API server refuses a field that the CRD does not have.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { renderAll } from '#operator/render/index.ts';
import { relayObject, SETTINGS } from '#test/fixtures/world.ts';
import { faultsOf, type Schema, specSchema } from './crdschema.ts';
import { only, problem, rendered } from './rendered.ts';

const MODULE = 'github.com/prometheus-operator/prometheus-operator';
const VERSIONS = ['0.60.1', '0.79.2', '0.82.2'];

function schemaOf(version: string, plural: string): Promise<Schema> {
  return specSchema(
    `${MODULE}@v${version}`,
    `example/prometheus-operator-crd/monitoring.coreos.com_${plural}.yaml`,
  );
}

function monitorOfRelay(): unknown {
  const relay = relayObject({ podMonitor: { interval: '30s', labels: { release: 'prometheus' } } });
  const objects = renderAll(relay, effectivePolicy(relay.metadata, relay.spec), SETTINGS);
  return objects.find(({ kind }) => kind === 'PodMonitor')?.['spec'];
}

const MONITOR = { enabled: true, interval: '30s', labels: { release: 'prometheus' } };
const ofOperator = (kind: string) =>
  only(
    rendered({
      metrics: { serviceMonitor: MONITOR, podMonitor: MONITOR, prometheusRule: { enabled: true } },
    }),
    kind,
  ).spec;

describe('the objects for the Prometheus operator', { skip: problem }, () => {
  for (const version of VERSIONS)
    test(`are known to version ${version}, field by field`, async () => {
      const pods = await schemaOf(version, 'podmonitors');
      assert.deepEqual(faultsOf(monitorOfRelay(), pods, 'spec'), []);
      assert.deepEqual(faultsOf(ofOperator('PodMonitor'), pods, 'spec'), []);
      const services = await schemaOf(version, 'servicemonitors');
      assert.deepEqual(faultsOf(ofOperator('ServiceMonitor'), services, 'spec'), []);
      const rules = await schemaOf(version, 'prometheusrules');
      assert.deepEqual(faultsOf(ofOperator('PrometheusRule'), rules, 'spec'), []);
    });

  test('a field that came later is found', async () => {
    const found = await Promise.all(
      VERSIONS.map(async (version) => {
        const spec = { podMetricsEndpoints: [{ portNumber: 9090 }] };
        return faultsOf(spec, await schemaOf(version, 'podmonitors'), 'spec').length > 0;
      }),
    );
    assert.equal(found[0], true);
  });
});
