/** How the fields of a MailRelay about pods, Service and other objects show in the rendered objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { OWN_LABELS, SERVING_LABEL } from '#crds/wellknown.ts';
import { SPECS } from '#test/fixtures/fullspec.ts';
import { relayObject, SETTINGS } from '#test/fixtures/world.ts';
import { isUpToDate, stamped } from '../compare.ts';
import { type Rendered, renderAll } from './index.ts';
import { managedLabels } from './metadata.ts';
import type { RenderSettings } from './rendered.ts';

interface Pod {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
  spec: {
    securityContext: Record<string, unknown>;
    topologySpreadConstraints: { topologyKey: string; whenUnsatisfiable: string }[];
    containers: { ports: { name: string; containerPort: number }[] }[];
  };
}

function renderObjects(changes: Record<string, unknown>, settings: Partial<RenderSettings> = {}) {
  const relay = relayObject(changes);
  const objects = renderAll(relay, effectivePolicy(relay.metadata, relay.spec), { ...SETTINGS, ...settings });
  return new Map(objects.map((object) => [`${object.kind}/${object.metadata.name}`, object]));
}

const readSpec = <Spec>(object: Rendered | undefined) => object?.['spec'] as Spec;
const renderPod = (...given: Parameters<typeof renderObjects>) =>
  readSpec<{ template: Pod }>(renderObjects(...given).get('StatefulSet/relay')).template;
const renderRules = (changes: Record<string, unknown>) =>
  readSpec<{ ingress: { from?: object[]; ports: { port: number }[] }[] }>(
    renderObjects(changes).get('NetworkPolicy/relay'),
  ).ingress;

test('the PodMonitor names a port that the pods declare, by the field that every version of its CRD has', () => {
  const [endpoint] = readSpec<{ podMetricsEndpoints: Record<string, string>[] }>(
    renderObjects({}).get('PodMonitor/relay'),
  ).podMetricsEndpoints;
  const [container] = renderPod({}).spec.containers;
  assert.deepEqual(Object.keys(endpoint ?? {}), ['port', 'path']);
  assert.deepEqual(
    container?.ports.map(({ name, containerPort }) => [name, containerPort]),
    [[endpoint?.['port'], 9090]],
  );
});

test('the pods are the same whatever the listeners, the number of replicas and the objects around them', () => {
  const template = renderPod({});
  for (const changes of [
    { replicas: 5 },
    { inbound: { listeners: [{ name: 'other', port: 2525, allowFrom: [{ podSelector: {} }] }] } },
    { service: { type: 'NodePort', labels: { a: 'b' }, annotations: { a: 'b' } } },
    { serviceAccount: { annotations: { a: 'b' } }, podMonitor: { enabled: false }, networkPolicy: {} },
  ])
    assert.deepEqual(renderPod(changes), template);
  assert.deepEqual(
    template.spec.topologySpreadConstraints.map(({ topologyKey, whenUnsatisfiable }) => [
      topologyKey,
      whenUnsatisfiable,
    ]),
    [
      ['topology.kubernetes.io/zone', 'ScheduleAnyway'],
      ['kubernetes.io/hostname', 'ScheduleAnyway'],
    ],
  );
});

test('users and groups: 65532, or none where the cluster assigns them; the relay decides before the operator', () => {
  const ids = (pod: Pod) =>
    ['runAsUser', 'runAsGroup', 'fsGroup'].map((field) => pod.spec.securityContext[field]);
  const [fixed, none] = [Array(3).fill(65_532), Array(3).fill(undefined)];
  assert.deepEqual(ids(renderPod({})), fixed);
  assert.deepEqual(ids(renderPod({}, { userIDs: 'Assigned' })), none);
  assert.deepEqual(ids(renderPod({ pod: { userIDs: 'Assigned' } })), none);
  assert.deepEqual(ids(renderPod({ pod: { userIDs: 'Fixed' } }, { userIDs: 'Assigned' })), fixed);
  // Neither has any container of any pod, with all that a spec can ask for.
  for (const [userIDs, is] of [
    ['Assigned', false],
    ['Fixed', true],
  ] as const) {
    const text = JSON.stringify(
      Object.values(SPECS).map((spec) => [...renderObjects({ ...spec, pod: { userIDs } }).values()]),
    );
    assert.match(text, /"initContainers":\[/);
    assert.equal(/"(runAsUser|runAsGroup|fsGroup|supplementalGroups)"/.test(text), is, userIDs);
  }
  const { runAsNonRoot, seccompProfile } = renderPod({ pod: { userIDs: 'Assigned' } }).spec.securityContext;
  assert.deepEqual([runAsNonRoot, seccompProfile], [true, { type: 'RuntimeDefault' }]);
});

test('labels of others stand beside ours, and never in their place', () => {
  assert.deepEqual(Object.keys(managedLabels('relay')).toSorted(), [...OWN_LABELS].toSorted());
  const labels = { team: 'mail', 'app.kubernetes.io/instance': 'other' };
  const objects = renderObjects({ pod: { labels }, service: { labels }, podMonitor: { labels } });
  const { [SERVING_LABEL]: serving, ...ofPods } = renderPod({ pod: { labels } }).metadata.labels;
  assert.equal(serving, 'true');
  const labelled = [
    ofPods,
    objects.get('Service/relay')?.metadata.labels,
    objects.get('PodMonitor/relay')?.metadata.labels,
  ];
  for (const found of labelled) assert.deepEqual(found, { team: 'mail', ...managedLabels('relay') });
});

test('what is switched off is not rendered, and everything else is', () => {
  const all = [...renderObjects({}).keys()];
  const switches = [
    ['networkPolicy', 'NetworkPolicy/relay'],
    ['podDisruptionBudget', 'PodDisruptionBudget/relay'],
    ['podMonitor', 'PodMonitor/relay'],
  ] as const;
  for (const [field, object] of switches) {
    assert.ok(all.includes(object));
    const left = [...renderObjects({ [field]: { enabled: false } }).keys()];
    assert.deepEqual(
      left,
      all.filter((name) => name !== object),
    );
  }
});

test('a listener with allowFrom is open to its peers alone; the others to anybody', () => {
  const listeners = [
    { name: 'smtp', port: 25 },
    { name: 'apps', port: 2525, allowFrom: [{ podSelector: { matchLabels: { app: 'shop' } } }] },
    { name: 'submission', port: 587 },
    { name: 'off', port: 2526, enabled: false, allowFrom: [{ podSelector: {} }] },
  ];
  const [open, apps, ...rest] = renderRules({ inbound: { listeners } });
  assert.deepEqual(open, {
    ports: [
      { protocol: 'TCP', port: 10_025 },
      { protocol: 'TCP', port: 10_587 },
    ],
  });
  assert.deepEqual(apps, {
    from: [{ podSelector: { matchLabels: { app: 'shop' } } }],
    ports: [{ protocol: 'TCP', port: 2525 }],
  });
  assert.deepEqual(
    rest.flatMap(({ ports }) => ports.map(({ port }) => port)),
    [9090, 9465],
  );
  for (const { from } of rest) assert.ok(from && from.length > 0, 'an empty list would let in anybody');
});

test('every rule with a list of peers has some: an empty list lets in anybody', () => {
  const [rule, ...rest] = renderRules({
    inbound: { listeners: [{ name: 'a', port: 25, allowFrom: [{ namespaceSelector: {} }] }] },
  });
  assert.deepEqual(rule?.from, [{ namespaceSelector: {} }]);
  assert.ok(rest.every(({ from }) => from));
});

test('metrics are read by the operator and by those of metricsFrom, else by namespaces with the label', () => {
  const from = (changes: object) => renderRules(changes as Record<string, unknown>).at(-2)?.from;
  const operator = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'mailrelay-system' } },
  };
  assert.deepEqual(from({}), [
    operator,
    { namespaceSelector: { matchLabels: { 'mailrelay.dev/monitoring': 'true' } } },
  ]);
  const metricsFrom = [{ ipBlock: { cidr: '10.0.0.0/8' } }];
  assert.deepEqual(from({ networkPolicy: { metricsFrom } }), [operator, ...metricsFrom]);
});

test('what the API server leaves out of a selector is no difference', () => {
  const empty = { matchLabels: {} };
  const changes = { networkPolicy: { metricsFrom: [{ podSelector: empty, namespaceSelector: empty }] } };
  const wanted = renderObjects(changes).get('NetworkPolicy/relay');
  assert.ok(wanted);
  const live = JSON.parse(JSON.stringify(stamped(wanted)).replaceAll('{"matchLabels":{}}', '{}'));
  assert.ok(isUpToDate(live, wanted));
});

test('every port of both Services names its protocol, and a fixed port of the nodes is asked for', () => {
  const objects = renderObjects({
    service: { type: 'NodePort' },
    inbound: {
      listeners: [
        { name: 'smtp', port: 25, nodePort: 30_025 },
        { name: 'submission', port: 587 },
      ],
    },
  });
  const ports = (name: string) =>
    readSpec<{ ports: { name: string; appProtocol: string; nodePort?: number }[] }>(
      objects.get(name),
    ).ports.map(({ name: port, appProtocol, nodePort }) => [port, appProtocol, nodePort]);
  assert.deepEqual(ports('Service/relay'), [
    ['smtp', 'tcp', 30_025],
    ['submission', 'tcp', undefined],
  ]);
  assert.deepEqual(ports('Service/relay-pods'), [
    ['admin', 'http', undefined],
    ['handover', 'tcp', undefined],
  ]);
});

test('the policy host of MTA-STS has a port of the Service that is open to anyone, and its Secret is mounted', () => {
  const changes = {
    inbound: {
      listeners: [{ name: 'smtp', port: 25, allowFrom: [{ ipBlock: { cidr: '192.0.2.0/24' } }] }],
      acceptDomains: ['example.com'],
    },
    dns: { mtaSTS: { mode: 'Testing', serve: { secretName: 'sts' } } },
  };
  const { ports } = readSpec<{ ports: object[] }>(renderObjects(changes).get('Service/relay'));
  assert.deepEqual(ports[1], {
    ...{ name: 'mta-sts', port: 443, targetPort: 10_443, protocol: 'TCP', appProtocol: 'tcp' },
  });
  assert.deepEqual(renderRules(changes)[0], { ports: [{ protocol: 'TCP', port: 10_443 }] });
  const template = JSON.stringify(renderPod(changes));
  assert.match(template, /"mountPath":"\/etc\/mailrelay\/secrets\/sts"/);
});
