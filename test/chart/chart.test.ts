/** The chart as whole artefacts to read, its pods, and its names and labels, whatever the values. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { assertGolden } from '#test/golden/golden.ts';
import {
  argumentsOf,
  CHART,
  changed,
  EVERYTHING,
  helm,
  helm4,
  IMAGE,
  type KubeObject,
  only,
  podOf,
  problem,
  rendered,
  template,
  type Values,
} from './rendered.ts';

describe('the chart', { skip: problem }, () => {
  test('lint finds nothing', () => {
    const said = execFileSync(helm, ['lint', '--strict', CHART, '--set', `image.repository=${IMAGE}`], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    assert.doesNotMatch(said, /\[(INFO|WARNING|ERROR)\]/);
  });

  for (const [name, values] of [
    ['default', {}],
    ['everything', EVERYTHING],
    ['namespaces', { watchNamespaces: ['mail', 'shop'] }],
  ] as const)
    test(`renders as reviewed, by Helm 3 and by Helm 4: ${name}`, () => {
      assertGolden(`chart-${name}.yaml`, template(values));
      assert.deepEqual(rendered(values, { by: helm4 }), rendered(values));
    });

  test('every default value is one that the schema knows, and an unknown one is refused', () => {
    assert.throws(() => template({ replica: 2 }), /replica/);
    assert.throws(() => template({ networkPolicy: { egres: {} } }), /egres/);
    assert.throws(() => template({ healthPort: 80 }), /healthPort/);
    assert.throws(() => template({ image: { repository: '' } }), /name where you pushed the image/);
  });

  const NEEDED = [
    'relay',
    'global',
    'crds',
    'rbac',
    'serviceAccount',
    'networkPolicy',
    'podDisruptionBudget',
  ];
  const EMPTIED: readonly [string, Values][] = [
    ...[...NEEDED, 'metrics', 'test', 'healthPort', 'className', 'defaultClass'].map(
      (name): [string, Values] => [name, { [name]: null }],
    ),
    ['image', { relay: { image: null } }],
    ['egress', { networkPolicy: { egress: null } }],
    ['apiServerPorts', { networkPolicy: { egress: { apiServerPorts: null } } }],
    ...['service', 'serviceMonitor', 'podMonitor', 'prometheusRule', 'dashboards'].map(
      (name): [string, Values] => [name, { metrics: { [name]: null } }],
    ),
    ['pullPolicy', { image: { repository: IMAGE, pullPolicy: null } }],
    ['enabled', { metrics: { service: { enabled: null } } }],
  ];
  // As where all below a key is commented out. Helm takes that for a wish to have no such value.
  for (const [name, values] of EMPTIED)
    test(`a value that cannot be left empty is told by its name: ${JSON.stringify(values)}`, () => {
      for (const by of [helm, helm4])
        assert.throws(() => template(values, { by }), new RegExp(`missing propert(y|ies) '${name}'`));
    });

  test('what is no name of an object, and would be refused later, is refused at once', () => {
    for (const [values, named] of [
      [{ serviceAccount: { name: 'Mail Operator' } }, /serviceAccount\/name/],
      [{ priorityClassName: 'very high' }, /priorityClassName/],
      [{ imagePullSecrets: ['a,b'] }, /imagePullSecrets\/0/],
      [{ imagePullSecrets: [{ name: 'A' }] }, /imagePullSecrets\/0/],
      [{ watchNamespaces: ['a'.repeat(64)] }, /watchNamespaces\/0/],
      [{ className: 'a'.repeat(254) }, /className/],
    ] as const)
      assert.throws(() => template(values), named);
  });
});

describe('the names', { skip: problem }, () => {
  /** Of Services, and of the MailRelay of "helm test". */
  const LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
  for (const [release, expected] of [
    ['mailrelay', 'mailrelay'],
    ['mail', 'mail-mailrelay-operator'],
    ['mail.v2', 'mail-v2-mailrelay-operator'],
    ['1st', 'r-1st-mailrelay-operator'],
    ['1.mailrelay', 'r-1-mailrelay'],
    [`${'a'.repeat(51)}.b`, 'a'.repeat(50)],
    [`${'a'.repeat(49)}.b`, 'a'.repeat(49)],
  ] as const)
    test(`of the release ${release} fit every object`, () => {
      const objects = rendered({}, { release });
      assert.equal(only(objects, 'Deployment').metadata.name, expected);
      const named = objects.filter(({ kind }) => ['Service', 'MailRelay'].includes(kind));
      assert.ok(named.length > 2);
      for (const { kind, metadata } of named) {
        assert.match(metadata.name, LABEL, kind);
        assert.ok(metadata.name.length <= (kind === 'MailRelay' ? 42 : 63));
      }
      assert.deepEqual(rendered({}, { release, by: helm4 }), objects);
    });

  test('that are set fit, too', () => {
    assert.equal(only(rendered({ fullnameOverride: '2nd' }), 'Deployment').metadata.name, 'r-2nd');
  });

  /** What YAML reads as something else than a text. */
  const WORDS = ['2024', '1e3', '0x1f', 'true', 'null', 'on'];
  for (const word of WORDS)
    test(`are texts where they are ${word}, and so are namespaces`, () => {
      const values = {
        ...EVERYTHING,
        fullnameOverride: word,
        serviceAccount: { name: word },
        watchNamespaces: [word],
        priorityClassName: word,
        metrics: {
          serviceMonitor: { enabled: true },
          podMonitor: { enabled: true },
          prometheusRule: { enabled: true },
          dashboards: { enabled: true },
        },
      };
      // As Helm reads it, in whose YAML yes and off are booleans too.
      const documents = parseAllDocuments(template(values, { namespace: word }), { version: '1.1' });
      const objects = documents.map((one) => one.toJS() as KubeObject | null).filter((one) => one !== null);
      for (const object of objects)
        assert.deepEqual(listNotTexts(object), [], `${object.kind} ${object.metadata.name}`);
      const spread = new Set(objects.map(({ metadata }) => metadata.namespace));
      assert.deepEqual(
        [...spread].filter((one) => one !== undefined),
        [word],
      );
      assert.equal(podOf(objects).spec.serviceAccountName, word);
    });
});

const TEXTS: readonly string[] = ['name', 'namespace', 'serviceAccountName', 'priorityClassName'];

/** The names and namespaces that YAML has not read as texts, wherever they stand. */
function listNotTexts(value: unknown): unknown[] {
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([field, one]) =>
    TEXTS.includes(field) && typeof one !== 'string' && typeof one !== 'object'
      ? [`${field}: ${String(one)}`]
      : listNotTexts(one),
  );
}

describe('the pods', { skip: problem }, () => {
  const pods = (values: Values) => {
    const objects = rendered(values);
    return { operator: podOf(objects).spec, tester: only(objects, 'Pod').spec };
  };

  for (const imagePullSecrets of [
    ['a', 'b'],
    [{ name: 'a' }, { name: 'b' }],
    ['a', { name: 'b' }],
  ])
    test(`pull secrets reach all pods: ${JSON.stringify(imagePullSecrets)}`, () => {
      const { operator, tester } = pods({ imagePullSecrets });
      const wanted = [{ name: 'a' }, { name: 'b' }];
      assert.deepEqual([operator.imagePullSecrets, tester.imagePullSecrets], [wanted, wanted]);
      assert.ok(operator.containers[0].args.includes('--image-pull-secrets=a,b'));
    });

  const IDS = /"(runAsUser|runAsGroup|fsGroup|supplementalGroups)"/;
  const CONTEXTS: readonly [Values | null, object][] = [
    [
      { runAsUser: 5, runAsGroup: 6, fsGroup: 7, supplementalGroups: [8], runAsNonRoot: true },
      { runAsNonRoot: true },
    ],
    [null, {}],
  ];
  for (const [podSecurityContext, expected] of CONTEXTS)
    test(`on OpenShift no pod names a user or a group: ${JSON.stringify(podSecurityContext)}`, () => {
      // The same values for the containers: what is no field of a container would be dropped.
      const values = { openshift: true, podSecurityContext, securityContext: podSecurityContext };
      const { operator, tester } = pods(values);
      for (const pod of [operator, tester])
        for (const { securityContext } of [pod, ...pod.containers])
          assert.partialDeepStrictEqual(securityContext, expected);
      // Whatever else the chart renders, hooks too: its relays have no ids, and so have their pods.
      const objects = rendered({ ...EVERYTHING, ...values });
      assert.doesNotMatch(JSON.stringify(objects), IDS);
      const fixed = JSON.stringify(rendered({ ...EVERYTHING, ...values, openshift: false }));
      if (podSecurityContext) assert.match(fixed, IDS, 'it is openshift that takes them away');
      assert.ok(argumentsOf(objects).includes('--user-ids=Assigned'));
    });
});

describe('names and labels', { skip: problem }, () => {
  const NAMES: readonly [string, Values, string, string][] = [
    ['mailrelay', {}, 'mailrelay', 'mailrelay-operator'],
    ['prod', {}, 'prod-mailrelay-operator', 'mailrelay-operator'],
    ['prod', { nameOverride: 'post' }, 'prod-post', 'post'],
    ['post-prod', { nameOverride: 'post' }, 'post-prod', 'post'],
    ['prod', { fullnameOverride: 'post' }, 'post', 'mailrelay-operator'],
  ];
  for (const [release, values, object, application] of NAMES)
    test(`release ${release} with ${JSON.stringify(values)}: ${object}`, () => {
      const { metadata } = only(rendered(values, { release }), 'Deployment');
      assert.equal(metadata.name, object);
      assert.equal(metadata.labels['app.kubernetes.io/name'], application);
    });

  const LABELS: Values = {
    'app.kubernetes.io/name': 'other',
    'app.kubernetes.io/instance': 'other',
    'app.kubernetes.io/component': 'other',
    team: 'mail',
  };
  for (const values of [{}, { podLabels: LABELS }, { commonLabels: LABELS }] as const)
    for (const release of ['mailrelay', '123', '1e3', 'true'])
      test(`selectors find the pods of ${release}, whatever ${Object.keys(values)[0] ?? 'the defaults'} say`, () => {
        const objects = rendered(
          {
            ...values,
            podDisruptionBudget: { enabled: true },
            metrics: { serviceMonitor: { enabled: true }, podMonitor: { enabled: true } },
          },
          { release },
        );
        const { labels } = podOf(objects).metadata;
        const service = only(objects, 'Service', `${only(objects, 'Deployment').metadata.name}-metrics`);
        const selectors = [
          only(objects, 'Deployment').spec.selector.matchLabels,
          only(objects, 'NetworkPolicy').spec.podSelector.matchLabels,
          only(objects, 'PodDisruptionBudget').spec.selector.matchLabels,
          only(objects, 'PodMonitor').spec.selector.matchLabels,
          service.spec.selector,
        ];
        for (const selector of selectors)
          for (const [key, value] of Object.entries(selector)) {
            assert.equal(typeof value, 'string');
            assert.equal(labels[key], value, key);
          }
        const monitored = only(objects, 'ServiceMonitor').spec.selector.matchLabels;
        for (const [key, value] of Object.entries(monitored))
          assert.equal(service.metadata.labels[key], value);
        const sink = objects.find(({ metadata }) => metadata.name.endsWith('-sink'));
        const tester = only(objects, 'Pod').metadata.labels;
        for (const [key, value] of Object.entries(sink?.spec.selector)) assert.equal(tester[key], value);
      });

  test('common labels are on every object of the chart, the CRD too', () => {
    const objects = rendered({
      ...EVERYTHING,
      commonLabels: LABELS,
      extraObjects: [],
      crds: { enabled: true },
    });
    only(objects, 'CustomResourceDefinition');
    for (const { kind, metadata } of objects)
      assert.equal(metadata.labels?.['team'], 'mail', `${kind} ${metadata.name}`);
  });

  test('a version with a + is a label and a tag all the same', () => {
    const objects = changed(
      (chart) => {
        const path = join(chart, 'Chart.yaml');
        const versions = { version: '1.2.3+build.7', appVersion: '1.2.3-rc.1+build.7' };
        writeFileSync(path, stringify({ ...parse(readFileSync(path, 'utf8')), ...versions }));
      },
      (chart) => rendered({}, { chart }),
    );
    assert.equal(podOf(objects).spec.containers[0].image, `${IMAGE}:1.2.3-rc.1_build.7`);
    for (const { metadata } of objects)
      for (const value of Object.values(metadata.labels))
        assert.match(value, /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/);
  });
});
