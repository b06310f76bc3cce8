/**
 * The life of a release of the chart beside a real API server, by Helm 3 and by Helm 4: install, an upgrade that changes
 * the CRD, rollback, uninstall, install again, a chart of which ours is a part, a CRD that came without Helm, and one that
 * leaves the release. No MailRelay is lost on the way, but where the values say so. It replaces the CRD, so it is the last file.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, type Kind, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { putRelay, relayNamed } from './relays.ts';

const run = promisify(execFile);
const OURS = 'mailrelay-operator';
const CHART = new URL(`../../charts/${OURS}`, import.meta.url).pathname;
const CRD = 'mailrelays.mailrelay.dev';
const DEFINITION: Kind = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
};
const DEPLOYMENT: Kind = { apiVersion: 'apps/v1', kind: 'Deployment', plural: 'deployments' };
const RELEASE = 'house';
const values = (tag: string) => ({
  image: { repository: 'registry.example/mailrelay', tag },
  fullnameOverride: RELEASE,
});
const PATIENCE_MS = 120_000;
/** A column of `kubectl get`, in the CRD of the chart and in a later one. */
const [COLUMN, LATER_COLUMN] = ['STARTTLS', 'Encrypts'];

for (const program of ['helm', 'helm4'])
  describe(`a release by ${program}`, { concurrency: false }, () => {
    const namespace = `by-${program}`;
    let api: Plane;
    let folder: string;
    let uid: string | undefined;

    async function helm(verb: string, ...args: readonly string[]): Promise<string> {
      const place = ['--namespace', namespace, '--kubeconfig', api.kubeconfig];
      // Helm keeps its settings and caches in the home.
      const env = { PATH: process.env['PATH'], HOME: folder };
      return (await run(api.program(program), [verb, RELEASE, ...args, ...place], { env })).stdout;
    }
    /** Installs or upgrades with these values. */
    function apply(verb: 'install' | 'upgrade', chart: string, given: object, ...args: readonly string[]) {
      const file = join(folder, 'values.yaml');
      writeFileSync(file, stringify(given));
      return helm(verb, chart, '--values', file, ...args);
    }
    async function get(kind: Kind, name: string, inside?: string): Promise<KubeObject | undefined> {
      try {
        return await api.admin.request<KubeObject>({ method: 'GET', path: apiPath(kind, inside, name) });
      } catch (error) {
        if (isKubeError(error, 'notFound')) return undefined;
        throw error;
      }
    }
    const hasColumn = async (name: string) =>
      JSON.stringify(await get(DEFINITION, CRD)).includes(`"name":"${name}"`);
    const deployment = async () => JSON.stringify((await get(DEPLOYMENT, RELEASE, namespace)) ?? {});
    const relay = async () => (await get(MAIL_RELAY, 'relay', namespace))?.metadata.uid;
    async function removeCrd(): Promise<void> {
      if (!(await get(DEFINITION, CRD))) return;
      await api.admin.request({ method: 'DELETE', path: apiPath(DEFINITION, undefined, CRD) });
      await until('the CRD to be gone', async () => !(await get(DEFINITION, CRD)), PATIENCE_MS);
    }

    before(async () => {
      api = await plane();
      folder = mkdtempSync(join(tmpdir(), 'mailrelay-helm-'));
      await removeCrd();
      await api.makeNamespace(namespace);
    });
    after(async () => {
      await helm('uninstall').catch(() => undefined);
      await removeCrd();
      api.putOurCrd();
      rmSync(folder, { recursive: true, force: true });
    });

    test('install brings the CRD and the operator', async () => {
      await apply('install', CHART, values('one'));
      assert.ok(await hasColumn(COLUMN));
      assert.ok((await deployment()).includes('registry.example/mailrelay:one'));
      // The API server may not serve the new kind for a moment.
      const made = await until(
        'a MailRelay',
        () => putRelay(api, relayNamed(namespace, 'relay')),
        PATIENCE_MS,
      );
      uid = made.metadata.uid;
    });

    test('upgrade changes the CRD and the operator, and no MailRelay', async () => {
      const changed = join(folder, 'changed');
      cpSync(CHART, changed, { recursive: true });
      const path = join(changed, 'templates', 'crds.yaml');
      writeFileSync(path, readFileSync(path, 'utf8').replace(`name: ${COLUMN}`, `name: ${LATER_COLUMN}`));
      await apply('upgrade', changed, values('two'));
      assert.ok(await hasColumn(LATER_COLUMN));
      assert.ok((await deployment()).includes('registry.example/mailrelay:two'));
      assert.equal(await relay(), uid);
    });

    test('rollback brings the former CRD and operator back', async () => {
      await helm('rollback', '1');
      assert.ok(await hasColumn(COLUMN));
      assert.ok((await deployment()).includes('registry.example/mailrelay:one'));
      assert.equal(await relay(), uid);
    });

    test('uninstall leaves the CRD and the MailRelays', async () => {
      await helm('uninstall');
      await until('the operator to be gone', async () => (await deployment()) === '{}', PATIENCE_MS);
      assert.equal(await relay(), uid);
    });

    test('install under the same name takes the CRD again', async () => {
      await apply('install', CHART, values('three'));
      assert.ok((await deployment()).includes('registry.example/mailrelay:three'));
      assert.equal(await relay(), uid);
    });

    test('as a part of another chart it is the same', async () => {
      const parent = join(folder, 'company');
      mkdirSync(join(parent, 'charts'), { recursive: true });
      cpSync(CHART, join(parent, 'charts', OURS), { recursive: true });
      const dependencies = [{ name: OURS, version: '0.1.0', repository: '' }];
      writeFileSync(
        join(parent, 'Chart.yaml'),
        stringify({ apiVersion: 'v2', name: 'company', version: '1.0.0', dependencies }),
      );
      await apply('upgrade', parent, { [OURS]: values('four') });
      assert.ok((await deployment()).includes('registry.example/mailrelay:four'));
      assert.equal(await relay(), uid);
      await helm('uninstall');
      assert.equal(await relay(), uid);
    });

    test('a CRD that came without Helm is refused, and taken with --take-ownership', async () => {
      await removeCrd();
      api.putOurCrd();
      await assert.rejects(apply('install', CHART, values('five')), /take-ownership|cannot be imported/);
      await apply('install', CHART, values('five'), '--take-ownership');
      assert.ok((await deployment()).includes('registry.example/mailrelay:five'));
    });

    test('a release without the CRD leaves it, with the MailRelays', async () => {
      const made = await until(
        'a MailRelay',
        () => putRelay(api, relayNamed(namespace, 'relay')),
        PATIENCE_MS,
      );
      await apply('upgrade', CHART, { ...values('six'), crds: { enabled: false } });
      assert.ok(await hasColumn(COLUMN));
      assert.equal(await relay(), made.metadata.uid);
      await apply('upgrade', CHART, values('seven'));
      assert.equal(await relay(), made.metadata.uid);
    });

    test('uninstall takes the CRD with it where crds.keep is false, and the MailRelays too', async () => {
      await apply('upgrade', CHART, { ...values('eight'), crds: { keep: false } });
      assert.notEqual(await relay(), undefined);
      await helm('uninstall');
      await until('the CRD to be gone', async () => !(await get(DEFINITION, CRD)), PATIENCE_MS);
      assert.equal(await relay(), undefined);
    });
  });
