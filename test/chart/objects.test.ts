/** What the chart's objects allow, how the operator's pods are, and what a newcomer is given to paste. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseAllDocuments, stringify } from 'yaml';
import { verb } from '#cli/verbs/operator.ts';
import { validateMailRelay } from '#crds/validate.ts';
import type { OperatorOptions } from '#operator/settings.ts';
import {
  argumentsOf,
  changed,
  EVERYTHING,
  type KubeObject,
  only,
  podOf,
  problem,
  rendered,
  type Values,
} from './rendered.ts';

describe('rights', { skip: problem }, () => {
  const kinds = (values: Values) => new Set(rendered(values).map(({ kind }) => kind));
  const NAMED = { watchNamespaces: ['mail', 'shop'] };

  test('with named namespaces there is nothing but Roles, in these and in its own', () => {
    const objects = rendered(NAMED);
    assert.deepEqual(
      objects.filter(({ kind }) => kind.startsWith('ClusterRole')),
      [],
    );
    const roles = objects.filter(({ kind }) => kind === 'Role');
    assert.deepEqual(
      roles.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).toSorted(),
      ['mail', 'shop']
        .flatMap((namespace) => ['', '-edit', '-view'].map((suffix) => `${namespace}/mailrelay${suffix}`))
        .concat('mailrelay-system/mailrelay-own')
        .toSorted(),
    );
  });

  test('they can be left to others: all of them, or those of users', () => {
    for (const values of [{}, NAMED]) {
      const left = kinds({ ...values, rbac: { create: false } });
      for (const kind of ['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'])
        assert.ok(!left.has(kind), kind);
      const names = rendered({ ...values, rbac: { userRoles: false } }).map(({ metadata }) => metadata.name);
      assert.deepEqual(
        names.filter((name) => /-(view|edit)$/.test(name)),
        [],
      );
    }
  });

  test('every binding is for the ServiceAccount of the pods', () => {
    for (const [serviceAccount, name] of [
      [{}, 'mailrelay'],
      [{ name: 'other' }, 'other'],
      [{ create: false, name: 'theirs' }, 'theirs'],
      [{ create: false }, 'default'],
    ] as const)
      for (const values of [{ serviceAccount }, { serviceAccount, ...NAMED }]) {
        const objects = rendered(values);
        assert.equal(podOf(objects).spec.serviceAccountName, name);
        const bindings = objects.filter(({ kind }) => kind.endsWith('Binding'));
        assert.ok(bindings.length > 1);
        for (const { subjects } of bindings)
          assert.deepEqual(subjects, [{ kind: 'ServiceAccount', name, namespace: 'mailrelay-system' }]);
        const accounts = objects.filter(({ kind }) => kind === 'ServiceAccount');
        assert.deepEqual(
          accounts.map(({ metadata }) => metadata.name),
          'create' in serviceAccount ? [] : [name],
        );
      }
  });
});

/** The options of the operator, read as its command reads them. */
function parseOptions(args: readonly string[]): OperatorOptions {
  verb.action(() => {}).parse(args, { from: 'user' });
  return verb.opts();
}

describe('pods of the operator', { skip: problem }, () => {
  test('are spread over nodes when there are several, unless told otherwise', () => {
    assert.equal(podOf(rendered({})).spec.affinity, undefined);
    const spread = podOf(rendered({ replicas: 2 }));
    const [{ podAffinityTerm }] =
      spread.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution;
    for (const [key, value] of Object.entries(podAffinityTerm.labelSelector.matchLabels))
      assert.equal(spread.metadata.labels[key], value);
    const affinity = { nodeAffinity: {} };
    assert.deepEqual(podOf(rendered({ replicas: 2, affinity })).spec.affinity, affinity);
  });

  test('take their arguments, whatever the values, and serve where Service, probes and policy look', () => {
    for (const values of [{}, EVERYTHING, { watchNamespaces: ['a', 'b'], healthPort: 9999 }]) {
      const objects = rendered(values);
      const { healthPort } = parseOptions(argumentsOf(objects).slice(1));
      const [container] = podOf(objects).spec.containers;
      const [port] = container.ports;
      assert.equal(port.containerPort, healthPort);
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'])
        assert.equal(container[probe].httpGet.port, port.name);
      const [ingress] = only(objects, 'NetworkPolicy').spec.ingress;
      assert.deepEqual(ingress.ports, [{ protocol: 'TCP', port: healthPort }]);
    }
  });

  test('reach DNS, the API server and relay pods, and nothing else, unless the limit is taken away', () => {
    const { policyTypes, egress } = only(rendered({}), 'NetworkPolicy').spec;
    assert.deepEqual(policyTypes, ['Ingress', 'Egress']);
    const ports = egress.flatMap(({ ports: list }: { ports: { port: number }[] }) =>
      list.map(({ port }) => port),
    );
    assert.deepEqual(new Set(ports), new Set([53, 5353, 443, 6443, 8443, 16443, 9090]));
    const open = only(rendered({ networkPolicy: { egress: { enabled: false } } }), 'NetworkPolicy').spec;
    assert.deepEqual([open.policyTypes, open.egress], [['Ingress'], undefined]);
  });
});

describe('what a newcomer is given', { skip: problem }, () => {
  /** The documents between the marks of a shell's here-document. */
  const pasted = (text: string) =>
    [...text.matchAll(/<<EOF\n([\s\S]*?)\nEOF\n/g)].flatMap(([, body = '']) =>
      parseAllDocuments(body, { version: '1.1' }).map((document) => document.toJS() as KubeObject),
    );
  /** "helm template" shows no notes: here they are rendered as the text of an object. */
  const notes = (values: Values) =>
    changed(
      (chart) => {
        cpSync(join(chart, 'templates', 'NOTES.txt'), join(chart, 'notes.txt'));
        const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'notes' } };
        const text = `${stringify(object)}data: {text: {{ tpl (.Files.Get "notes.txt") . | toJson }}}\n`;
        writeFileSync(join(chart, 'templates', 'notes.yaml'), text);
      },
      (chart) => (only(rendered(values, { chart }), 'ConfigMap')['data'] as { text: string }).text,
    );

  for (const [what, text] of [
    ['NOTES', () => notes({})],
    ['NOTES with named namespaces', () => notes({ watchNamespaces: ['post', 'shop'] })],
    ['the README', () => readFileSync(new URL('../../README.md', import.meta.url), 'utf8')],
  ] as const)
    test(`${what}: an authority to paste, a relay of it whose next hop is there, and what to do next`, () => {
      const said = text();
      const objects = pasted(said);
      const relay = only(objects, 'MailRelay');
      const judged = validateMailRelay(relay);
      assert.equal(judged.kind, 'valid', JSON.stringify(judged));
      const { namespace } = relay.metadata;
      const issuer = only(objects, 'Issuer', relay.spec.tls.issuerRef.name);
      const authority = only(objects, 'Certificate');
      assert.equal(issuer.spec.ca.secretName, authority.spec.secretName);
      for (const { metadata } of objects) assert.equal(metadata.namespace, namespace);
      // Named namespaces are there: they have the Roles of the operator.
      assert.equal(said.includes(`kubectl create namespace ${namespace}\n`), !what.includes('named'));
      assert.match(said, new RegExp(`kubectl run sink -n ${namespace} .*--port=2525 --expose`));
      assert.deepEqual(relay.spec.outbound.routes[0].hosts, [{ host: `sink.${namespace}.svc`, port: 2525 }]);
      assert.match(said, /wait times out/);
      assert.match(said, new RegExp(`kubectl exec -n ${namespace} relay-0 -- mailrelay send `));
    });

  test('NOTES of an operator that looks after its class alone have that class', () => {
    const classOf = (values: Values) => only(pasted(notes(values)), 'MailRelay').spec.className;
    assert.equal(classOf({ defaultClass: false, className: '1' }), '1');
    assert.equal(classOf({}), undefined);
  });

  test('NOTES with pull secrets have them for the sink, and say where they must be', () => {
    const said = notes({ imagePullSecrets: ['a', { name: 'b' }] });
    const [, overrides = ''] = /--overrides='(\{.*\})' \\\n {2}-- sink /.exec(said) ?? [];
    assert.deepEqual(JSON.parse(overrides), { spec: { imagePullSecrets: [{ name: 'a' }, { name: 'b' }] } });
    assert.match(said, /make these in mail too: a, b\n/);
    assert.doesNotMatch(notes({}), /overrides|pull with/);
  });

  test('NOTES with a namespace that YAML reads as something else than a text', () => {
    for (const word of ['2024', '1e3', '0x1f', 'true', 'null', 'no', 'on', 'y'])
      for (const { metadata } of pasted(notes({ watchNamespaces: [word] })))
        assert.equal(metadata.namespace, word);
  });

  test('"helm test" has a relay that is valid, keeps nothing on a disk, and takes no mail but its own', () => {
    const objects = rendered({ watchNamespaces: ['mail'] });
    const relay = only(objects, 'MailRelay');
    assert.equal(validateMailRelay(relay).kind, 'valid');
    assert.deepEqual(relay.spec.queue, { mode: 'CutThrough' });
    assert.equal(relay.spec.inbound.starttls, 'Required');
    assert.equal(relay.spec.inbound.clients, undefined);
    const hooks = objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'test');
    assert.deepEqual(hooks.map(({ kind }) => kind).toSorted(), ['Issuer', 'MailRelay', 'Pod', 'Service']);
    for (const { kind, metadata } of hooks) {
      assert.equal(metadata.namespace, 'mail');
      const policy = metadata.annotations?.['helm.sh/hook-delete-policy'] ?? '';
      // Its log tells of the message when all others are gone.
      assert.equal(policy.includes('hook-succeeded'), kind !== 'Pod');
    }
    const without = rendered({ test: { enabled: false } });
    assert.deepEqual(
      without.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook']),
      [],
    );
  });
});
