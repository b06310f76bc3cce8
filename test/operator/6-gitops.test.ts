/**
 * What a GitOps tool sees after the operator has looked at a MailRelay: a server-side dry run of the same manifest shows
 * no difference, also where an autoscaler has changed the number of pods. So nothing is out of sync, and no tool fights
 * with the operator.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '#operator/kube/client.ts';
import { apiPath, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { relayNamed, whenQuiet } from './relays.ts';

const EXAMPLES = new URL('../../examples/', import.meta.url).pathname;
const NAMESPACE = 'gitops';
const MANAGER = 'gitops-tool';

/** All of them in one namespace, by the names of their files. */
function readExamples(): KubeObject[] {
  return globSync('*.yaml', { cwd: EXAMPLES }).flatMap((file) =>
    parseAllDocuments(readFileSync(`${EXAMPLES}${file}`, 'utf8'))
      .map((document) => document.toJS() as KubeObject)
      .filter(({ kind }) => kind === MAIL_RELAY.kind)
      .map((relay, index) => {
        const name = `${file.replace('.yaml', '')}-${index}x`;
        return { ...relay, metadata: { ...relay.metadata, name, namespace: NAMESPACE } };
      }),
  );
}

describe('the manifest of a GitOps tool', { concurrency: false }, () => {
  const manifests = [...readExamples(), relayNamed(NAMESPACE, 'scaled')];
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  const pathOf = ({ metadata }: KubeObject) => apiPath(MAIL_RELAY, metadata.namespace, metadata.name);
  const liveOf = (relay: KubeObject) =>
    api.admin.request<KubeObject & { status?: { observedGeneration?: number } }>({
      method: 'GET',
      path: pathOf(relay),
    });
  const apply = (relay: KubeObject, dryRun: Readonly<Record<string, string>>) =>
    api.admin.request<KubeObject>({
      method: 'PATCH',
      path: pathOf(relay),
      query: { fieldManager: MANAGER, fieldValidation: 'Strict', ...dryRun },
      contentType: 'application/apply-patch+yaml',
      body: relay,
    });

  /** Once the operator has looked at all of them, and has nothing more to write. */
  async function compareAll(): Promise<void> {
    await until('the operator to look at all', async () => {
      const all = await Promise.all(manifests.map(liveOf));
      return all.every(({ metadata, status }) => status?.observedGeneration === metadata.generation);
    });
    await whenQuiet(api);
    for (const manifest of manifests)
      await until(`no difference of ${manifest.metadata.name}`, async () => {
        assert.deepEqual(await apply(manifest, { dryRun: 'All' }), await liveOf(manifest));
        return true;
      });
  }

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'gitops' });
    await operator.leads();
    await api.makeNamespace(NAMESPACE);
    for (const manifest of manifests) await apply(manifest, {});
  });

  after(async () => {
    for (const manifest of manifests)
      await api.admin.request({ method: 'DELETE', path: pathOf(manifest) }).catch(() => undefined);
    await operator?.end('SIGTERM');
    await pods?.stop();
  });

  test('has every example', () => assert.ok(manifests.length > 20, `${manifests.length}`));

  test('does not differ from what is stored', compareAll);

  test('does not differ where an autoscaler has the number of pods', async () => {
    await api.admin.request({
      method: 'PATCH',
      path: `${apiPath(MAIL_RELAY, NAMESPACE, 'scaled')}/scale`,
      contentType: 'application/merge-patch+json',
      body: { spec: { replicas: 3 } },
    });
    await compareAll();
    const { spec } = (await liveOf(relayNamed(NAMESPACE, 'scaled'))) as { spec?: { replicas?: number } };
    assert.equal(spec?.replicas, 3);
  });

  test('would differ, if somebody had changed a field of it', async () => {
    const edited = relayNamed(NAMESPACE, 'scaled', { hostname: 'other.example.com' });
    assert.notDeepEqual(await apply(edited, { dryRun: 'All' }), await liveOf(edited));
  });
});
