/** What GitOps tools apply: the base and the overlay of kustomize against the chart, and the example for Flux. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { readPages } from '#test/arch/pages.ts';
import { program } from '#test/cluster/programs.ts';
import { assertGolden } from '#test/golden/golden.ts';
import { faultsOf, specSchema } from './crdschema.ts';
import { argumentsOf, type KubeObject, only, podOf, problem, rendered, template } from './rendered.ts';

const DEPLOY = new URL('../../deploy/', import.meta.url).pathname;
const PLAIN = { image: { repository: 'mailrelay' }, test: { enabled: false } };

/** Where Flux has the CRD of each kind: its module, and the name of the file. They are parts of one release of Flux. */
const FLUX: Readonly<Record<string, readonly [module: string, file: string]>> = {
  GitRepository: ['source-controller@v1.7.0', 'source.toolkit.fluxcd.io_gitrepositories'],
  HelmRelease: ['helm-controller@v1.4.0', 'helm.toolkit.fluxcd.io_helmreleases'],
  Kustomization: ['kustomize-controller@v1.7.3', 'kustomize.toolkit.fluxcd.io_kustomizations'],
};

/** What the CRD of Flux does not allow in it. */
async function judgeByCrd({ apiVersion, kind, spec }: KubeObject): Promise<string[]> {
  const [module, file] = FLUX[kind] ?? [];
  const [, version] = String(apiVersion).split('/');
  const path = `config/crd/bases/${file}.yaml`;
  return faultsOf(spec, await specSchema(`github.com/fluxcd/${module}`, path, version), kind);
}

const kubectl = problem
  ? ''
  : await program('kubectl', (line) => process.stderr.write(`kustomize: ${line}\n`));

function build(folder: string): KubeObject[] {
  const text = execFileSync(kubectl, ['kustomize', `${DEPLOY}kustomize/${folder}`], {
    encoding: 'utf8',
    maxBuffer: 8 * 1024 * 1024,
  });
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

/** Helm is not at work, so nothing says so. */
function withoutHelm(text: string): string {
  return text
    .replaceAll('app.kubernetes.io/managed-by: Helm', 'app.kubernetes.io/managed-by: kustomize')
    .replace(/^ *helm\.sh\/chart: .*\n/gm, '');
}

const nameOf = ({ kind, metadata }: KubeObject) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

describe('kustomize', { skip: problem }, () => {
  test('the base has what the chart renders', () => {
    assertGolden('../../../deploy/kustomize/base/operator.yaml', withoutHelm(template(PLAIN)));
  });

  test('the base builds, with the namespace, the CRD and every object of the chart', () => {
    const names = build('base').map(nameOf);
    const expected = rendered(PLAIN).map(nameOf);
    const besides = ['Namespace /mailrelay-system', 'CustomResourceDefinition /mailrelays.mailrelay.dev'];
    assert.deepEqual(names.toSorted(), [...expected, ...besides].toSorted());
  });

  test('the overlay sets the image of the operator and of the relays, and the replicas', () => {
    const objects = build('overlays/example');
    const image = 'registry.example.com/mailrelay:0.1.0';
    assert.equal(podOf(objects).spec.containers[0].image, image);
    const named = argumentsOf(objects).filter((argument) => argument.includes('mailrelay:'));
    assert.deepEqual(named, [`--relay-image=${image}`]);
    assert.equal(only(objects, 'Deployment').spec.replicas, 2);
  });

  test('the CRD alone builds', () => {
    const text = execFileSync(kubectl, ['kustomize', `${DEPLOY}../crds`], {
      encoding: 'utf8',
      maxBuffer: 8 * 1024 * 1024,
    });
    assert.equal(parse(text).kind, 'CustomResourceDefinition');
  });
});

describe('the example for Flux', () => {
  const objects = parseAllDocuments(readFileSync(`${DEPLOY}flux/mailrelay.yaml`, 'utf8')).map(
    (document) => document.toJS() as KubeObject,
  );

  test('names a chart that exists, with values that its schema knows', { skip: problem }, () => {
    const { chart, values } = only(objects, 'HelmRelease').spec;
    assert.equal(chart.spec.chart, 'charts/mailrelay-operator');
    assert.equal(chart.spec.sourceRef.name, only(objects, 'GitRepository').metadata.name);
    assert.ok(template(values).includes(`image: "${values.image.repository}:${values.image.tag}"`));
  });

  test('waits for the MailRelays, and an upgrade of the release upgrades the CRD', { skip: problem }, () => {
    assert.equal(only(objects, 'Kustomization').spec.wait, true);
    assert.equal(only(objects, 'HelmRelease').spec.upgrade.crds, 'Skip');
    only(rendered({ ...PLAIN, crds: { enabled: true } }), 'CustomResourceDefinition');
  });

  test('is what the CRDs of Flux allow, field by field', { skip: problem }, async () => {
    const faults = await Promise.all(objects.map(judgeByCrd));
    assert.deepEqual(faults.flat(), []);
    const wrong = { ...only(objects, 'HelmRelease'), spec: { interval: '1 hour', upgrades: {} } };
    assert.deepEqual(await judgeByCrd(wrong), [
      'HelmRelease.interval cannot be 1 hour',
      'HelmRelease.upgrades is unknown',
    ]);
  });

  test('is what the page shows', () => {
    const page = readPages().find(({ path }) => path === 'docs/gitops.md');
    const shown = page?.blocks
      .map(({ text }) => text)
      .filter((text) => text.includes('toolkit.fluxcd.io'))
      .map((text) => parse(text));
    assert.deepEqual(shown, [only(objects, 'Kustomization')]);
  });
});
