/**
 * What a MailRelay owns, and how its status reads: every object, repaired, pruned, never taken over; by the rules of
 * kstatus at every moment. The steps build on each other and run in order.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { kstatus } from '#test/kit/kstatus.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  conditionOf,
  get,
  installOperator,
  kubectl,
  makeNamespace,
  OPERATOR_NAMESPACE,
  podsOf,
  relayOf,
  waitReady,
} from './kube.ts';
import { foreign, objectsOf, POD_MONITORS } from './ownedobjects.ts';
import { Watched } from './watched.ts';

const NAMESPACE = 'objects';

const manifest = (name: string, inbound = 'listeners: [{name: smtp, port: 25}]') => `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: ${name}, namespace: ${NAMESPACE}, labels: {team: mail}}
spec:
  hostname: relay.example.com
  tls: {issuerRef: {name: ca}, internal: {issuerRef: {name: ca}}}
  inbound: {${inbound}}
`;

/** Other controllers write the status of an object at any time. */
const OF_OTHERS = new Set(['status', 'resourceVersion', 'managedFields']);

interface Owned {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly ownerReferences: readonly {
      readonly kind: string;
      readonly name: string;
      readonly controller: boolean;
    }[];
    readonly managedFields: readonly { readonly manager: string; readonly operation: string }[];
  };
  readonly spec?: { readonly selector?: unknown };
}

function ownedOf(relay: string): Owned[] {
  const names = objectsOf(relay).map(({ object }) => object);
  const list = kubectl(['get', ...names, '-n', NAMESPACE, '-o', 'json', '--show-managed-fields']);
  return (JSON.parse(list) as { items: Owned[] }).items;
}

const field = (object: string, path: string) =>
  kubectl(['get', object, '-n', NAMESPACE, '-o', `jsonpath={.${path}}`]);

describe('what a MailRelay owns', { concurrency: false }, () => {
  let watched: Watched;

  before(() => {
    apply(POD_MONITORS);
    installOperator();
    // It looks for such kinds rarely.
    kubectl(['rollout', 'restart', 'deployment/mailrelay', '-n', OPERATOR_NAMESPACE]);
    kubectl(['rollout', 'status', 'deployment/mailrelay', '-n', OPERATOR_NAMESPACE, '--timeout=120s']);
    makeNamespace(NAMESPACE);
    watched = new Watched(NAMESPACE, 'relay');
  });

  after(() => {
    watched.stop();
    kubectl(['delete', 'mailrelay', '--all', '-n', NAMESPACE]);
    kubectl(['delete', 'configmap', 'clash-ca', '-n', NAMESPACE]);
    kubectl(['delete', 'crd', 'podmonitors.monitoring.coreos.com', '--wait=false']);
  });

  test('from the first status to the last kstatus is InProgress, then Current, and never Failed', async () => {
    apply(manifest('relay'));
    waitReady(NAMESPACE);
    await until('the authority', () => field('configmap/relay-ca', 'data').includes('BEGIN CERTIFICATE'));
    const versions = await watched.versions();
    // Before them: the default of the status, and whose the relay is.
    const told = versions.filter(({ status }) => status?.conditions !== undefined);
    assert.ok(told.length > 1, `only ${told.length} versions were seen`);
    for (const relay of told) {
      assert.ok(conditionOf(relay, 'Ready'), 'Ready is there from the first status on');
      for (const { observedGeneration } of relay.status.conditions)
        assert.equal(observedGeneration, relay.metadata.generation);
    }
    const verdicts = versions.map(kstatus).filter((verdict, index, all) => verdict !== all[index - 1]);
    assert.deepEqual(verdicts, ['InProgress', 'Current']);
  });

  test('kubectl get mr reads like a dashboard', () => {
    const [head = '', row = ''] = kubectl(['get', 'mr', '-n', NAMESPACE]).split('\n');
    assert.deepEqual(head.split(/\s+/), [
      'NAME',
      'READY',
      'REASON',
      'PROBLEMS',
      'STARTTLS',
      'QUEUE',
      'CERTIFICATE',
      'AGE',
    ]);
    assert.match(
      row,
      /^relay\s+1\/1\s+Serving\s+ConfigurationSound\s+Enabled\s+0\s+\d{4}-\d\d-\d\dT[\d:]+Z\s+[\dms]+$/,
    );
  });

  test('every object is there, with our labels alone, one owner and one field manager', () => {
    const owned = ownedOf('relay');
    assert.equal(owned.length, objectsOf('relay').length);
    for (const { kind, metadata, spec } of owned) {
      const name = `${kind}/${metadata.name}`;
      assert.deepEqual(
        metadata.labels,
        {
          'app.kubernetes.io/name': 'mailrelay',
          'app.kubernetes.io/instance': 'relay',
          'app.kubernetes.io/component': 'relay',
          'app.kubernetes.io/managed-by': 'mailrelay-operator',
          'app.kubernetes.io/part-of': 'mailrelay',
        },
        name,
      );
      assert.deepEqual(
        metadata.ownerReferences.map((owner) => `${owner.kind}/${owner.name} ${owner.controller}`),
        ['MailRelay/relay true'],
      );
      const managers = metadata.managedFields.filter(({ operation }) => operation === 'Apply');
      assert.deepEqual(
        managers.map(({ manager }) => manager),
        ['mailrelay-operator'],
        name,
      );
      const selector = JSON.stringify(spec?.selector ?? '');
      assert.doesNotMatch(selector, /managed-by|part-of/, `${name}: a selector cannot change`);
    }
  });

  test('what is edited by hand is repaired, each kind, and no pod is replaced', async () => {
    const before = podsOf(NAMESPACE).map(({ uid }) => uid);
    const was = new Map(objectsOf('relay').map(({ object, shows }) => [object, field(object, shows)]));
    for (const { object, edit } of objectsOf('relay'))
      kubectl(['patch', object, '-n', NAMESPACE, '--type=merge', '-p', edit]);
    for (const { object, shows } of objectsOf('relay'))
      await until(`${object} to be repaired`, () => field(object, shows) === was.get(object));
    assert.deepEqual(
      podsOf(NAMESPACE).map(({ uid }) => uid),
      before,
    );
  });

  test('what is deleted by hand comes back, each kind, and no pod is replaced', async () => {
    const before = podsOf(NAMESPACE).map(({ uid }) => uid);
    const uids = new Set(ownedOf('relay').map(({ metadata }) => metadata.uid));
    const names = objectsOf('relay').map(({ object }) => object);
    const set = 'statefulset/relay';
    kubectl(['delete', ...names.filter((name) => name !== set), '-n', NAMESPACE, '--wait=false']);
    // Its pods would go with it.
    kubectl(['delete', set, '-n', NAMESPACE, '--cascade=orphan', '--wait=false']);
    await until('all of them again', () => {
      const owned = ownedOf('relay');
      return owned.length === names.length && owned.every(({ metadata }) => !uids.has(metadata.uid));
    });
    assert.deepEqual(
      podsOf(NAMESPACE).map(({ uid }) => uid),
      before,
    );
    waitReady(NAMESPACE);
  });

  test('what is no longer wanted goes, and the Secrets with the keys stay', async () => {
    apply(manifest('relay', 'enabled: false, listeners: [{name: smtp, port: 25}]'));
    kubectl([
      'patch',
      'mr',
      'relay',
      '-n',
      NAMESPACE,
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/spec/tls"}]',
    ]);
    await until('the Certificates to go', () => names('certificate') === 'certificate.cert-manager.io/ca');
    await until('the authority to go', () => !names('configmap').includes('relay-ca'));
    assert.ok(names('service').split('\n').includes('service/relay'), 'the Service stays, with its address');
    assert.match(names('secret'), /relay-internal-tls\n.*relay-tls/);
    kubectl(['delete', 'mr', 'relay', '-n', NAMESPACE]);
  });

  test('names that belong to others are Stalled, each kind, and nothing of theirs is touched', async () => {
    for (const object of foreign(NAMESPACE, 'clash')) apply(object);
    const theirs = () =>
      JSON.stringify(ownedOf('clash'), (key, value) => (OF_OTHERS.has(key) ? undefined : value));
    const before = theirs();
    apply(manifest('clash', 'clients: {networks: [10.0.0.0/8]}, listeners: [{name: smtp, port: 25}]'));
    kubectl(['wait', 'mr/clash', '-n', NAMESPACE, '--for=condition=Stalled', '--timeout=120s']);
    const stalled = relayOf(NAMESPACE, 'clash');
    assert.equal(kstatus(stalled), 'Failed');
    assert.equal(conditionOf(stalled, 'Stalled')?.reason, 'NameTaken');
    const message = conditionOf(stalled, 'Stalled')?.message ?? '';
    // The authority is not wanted before a pod has told it.
    // Mail flows without the last three: they are a note in ConfigurationSound.
    const taken = ownedOf('clash')
      .map(({ kind, metadata }) => `${kind}/${metadata.name}`)
      .filter(
        (one) => !/^(ConfigMap\/clash-ca$|PodDisruptionBudget\/|PodMonitor\/|NetworkPolicy\/)/.test(one),
      );
    const named = taken.filter((name) => message.split(/[ ,]+/).includes(name));
    const more = Number(/ and (\d+) more /.exec(message)?.[1] ?? 0);
    assert.ok(named.length >= 5, message);
    assert.equal(named.length + more, taken.length, message);
    assert.equal(theirs(), before);
    assert.deepEqual(podsOf(NAMESPACE, 'clash'), []);
  });

  test('when the names are free it goes on by itself', async () => {
    const names = objectsOf('clash')
      .map(({ object }) => object)
      .filter((name) => name !== 'configmap/clash-ca');
    kubectl(['delete', ...names, '-n', NAMESPACE]);
    await until(
      'the relay to be ready, with the authority as a note',
      () => {
        const relay = relayOf(NAMESPACE, 'clash');
        const note = conditionOf(relay, 'ConfigurationSound');
        return (
          conditionOf(relay, 'Ready')?.status === 'True' &&
          note?.reason === 'ExtraRefused' &&
          note.message.includes('ConfigMap/clash-ca')
        );
      },
      90_000,
    );
    assert.equal(get<{ data: unknown }>('configmap', 'clash-ca', NAMESPACE).data, undefined);
  });
});

const names = (kind: string) => kubectl(['get', kind, '-n', NAMESPACE, '-o', 'name']);
