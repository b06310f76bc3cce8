/**
 * What is written for the Prometheus operator, against its real CRDs: of a version from before its field `portNumber`, of
 * the one that came with it, and of a later one. An API server refuses a field that the CRD does not have.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { effectivePolicy } from '#crds/effective.ts';
import { renderAll } from '#operator/render/index.ts';
import { sourcesOf } from '#test/cluster/programs.ts';
import { relayObject, SETTINGS } from '#test/fixtures/world.ts';
import { only, problem, rendered } from './rendered.ts';

const MODULE = 'github.com/prometheus-operator/prometheus-operator';
const VERSIONS = ['0.60.1', '0.79.2', '0.82.2'];

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly pattern?: string;
  readonly 'x-kubernetes-int-or-string'?: boolean;
}

/** The paths of what the schema does not allow. */
function faultsOf(value: unknown, schema: Schema | undefined, path: string): string[] {
  if (!schema) return [`${path} is unknown`];
  if (Array.isArray(value)) return value.flatMap((item) => faultsOf(item, schema.items, `${path}[]`));
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, inner]) =>
      faultsOf(inner, schema.properties?.[key] ?? schema.additionalProperties, `${path}.${key}`),
    );
  const isEither =
    schema['x-kubernetes-int-or-string'] === true && ['string', 'number'].includes(typeof value);
  const fits =
    (isEither || typeof value === schema.type) && new RegExp(schema.pattern ?? '').test(String(value));
  return fits ? [] : [`${path} cannot be ${value}`];
}

async function schemaOf(version: string, plural: string): Promise<Schema> {
  const folder = join(await sourcesOf(`${MODULE}@v${version}`), 'example', 'prometheus-operator-crd');
  const crd = parse(readFileSync(join(folder, `monitoring.coreos.com_${plural}.yaml`), 'utf8'));
  return crd.spec.versions[0].schema.openAPIV3Schema.properties.spec;
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
