/** The CRD on a real API server: what is valid, what is refused and with which words, and that nothing drifts. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { changed, document, MISSHAPEN, WRONG } from '#test/fixtures/manifests.ts';
import { type Judgeable, kstatus } from '#test/kit/kstatus.ts';
import { until } from '#test/kit/wait.ts';
import { client, get, kubectl } from './kube.ts';

const CRD = new URL('../../crds/mailrelay.yaml', import.meta.url).pathname;
const EXAMPLES = new URL('../../examples/', import.meta.url).pathname;

let isInstalled = false;

before(async () => {
  isInstalled = kubectl(['get', 'crd', 'mailrelays.mailrelay.dev', '--ignore-not-found']) !== '';
  kubectl(['apply', '--server-side', '-f', CRD]);
  // kubectl fails at once at a CRD that has no conditions yet.
  const established = [
    'wait',
    '--for=condition=Established',
    'crd/mailrelays.mailrelay.dev',
    '--timeout=30s',
  ];
  await until('the CRD', () => kubectl(established));
  kubectl(['apply', '-f', '-'], 'apiVersion: v1\nkind: Namespace\nmetadata: {name: mail}\n');
});

// The tests after this one install it by the chart. On a cluster that is kept they have done so before.
after(() => {
  if (!isInstalled) kubectl(['delete', '-f', CRD]);
});

/**
 * What the API server says to a document; empty when it is taken. The request is that of `kubectl apply --server-side
 * --dry-run=server`, without a process for each of the many documents.
 */
async function dryRun(value: ReturnType<typeof document>): Promise<string> {
  const { namespace, name } = value.metadata;
  try {
    await client().request({
      method: 'PATCH',
      path: apiPath(MAIL_RELAY, namespace, name),
      query: { dryRun: 'All', fieldManager: 'kubectl', fieldValidation: 'Strict' },
      contentType: 'application/apply-patch+yaml',
      body: value,
    });
    return '';
  } catch (error) {
    if (isKubeError(error, 'invalid')) return error.message;
    throw error;
  }
}

test('the good manifest is taken, by kubectl too', async () => {
  const good = document(changed({}));
  assert.equal(await dryRun(good), '');
  kubectl(['apply', '--server-side', '--dry-run=server', '-f', '-'], JSON.stringify(good));
});

for (const { what, spec, says } of WRONG) {
  test(`the API server refuses ${what}, in the words of lint`, async () => {
    const answer = await dryRun(document(changed(spec)));
    assert.ok(answer.includes(says), answer || 'it was taken');
  });
}

for (const { what, spec } of MISSHAPEN) {
  test(`the API server refuses ${what}`, async () => {
    assert.notEqual(await dryRun(document(changed(spec))), '');
  });
}

test('a name that cannot be that of a Service is refused', async () => {
  assert.match(await dryRun(document(changed({}), 'a.b')), /metadata\.name names the Service too/);
});

test('a server-side dry run of every example shows no difference to what is stored', () => {
  for (const file of globSync(`${EXAMPLES}/**/*.yaml`)) {
    for (const parsed of parseAllDocuments(readFileSync(file, 'utf8'))) {
      const wanted = parsed.toJS() as { kind: string; spec: object };
      if (wanted.kind !== 'MailRelay') continue;
      const stored = kubectl(
        ['apply', '--server-side', '--dry-run=server', '-o', 'json', '-f', '-'],
        JSON.stringify(wanted),
      );
      // The one default, which the scale subresource needs.
      const spec = { replicas: 1, ...wanted.spec };
      assert.deepEqual((JSON.parse(stored) as { spec: unknown }).spec, spec, file);
    }
  }
});

test('an update may not change the class of the storage, or change the mode; and it says how to move', async () => {
  const stored = document(changed({ queue: { storage: { size: '2Gi' } } }), 'moving', 'mail');
  kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(stored));
  const updates: [Record<string, unknown>, RegExp][] = [
    [
      { queue: { storage: { size: '2Gi', className: 'other' } } },
      /className cannot change: make a second MailRelay/,
    ],
    [
      { queue: { mode: 'CutThrough', storage: { size: '2Gi' } } },
      /queue\.mode cannot change: make a second MailRelay/,
    ],
  ];
  for (const [queue, words] of updates)
    assert.match(await dryRun(document(changed(queue), 'moving', 'mail')), words);
  for (const size of ['1Gi', '3Gi'])
    assert.equal(await dryRun(document(changed({ queue: { storage: { size } } }), 'moving', 'mail')), '');
  kubectl(['delete', 'mailrelay', 'moving', '-n', 'mail']);
});

test('a MailRelay that no operator has looked at is in progress for Flux and Helm, and before its edit is seen', () => {
  kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(document(changed({}), 'unseen', 'mail')));
  const unseen = get<Judgeable>('mr', 'unseen', 'mail');
  assert.deepEqual(unseen.status, { observedGeneration: -1 });
  assert.equal(kstatus(unseen), 'InProgress');
  kubectl(['delete', 'mr', 'unseen', '-n', 'mail']);
});

test('kubectl explain knows every part, and the short name, the scale subresource and the columns work', () => {
  assert.match(kubectl(['explain', 'mailrelay.spec.inbound.starttls']), /530 5\.7\.0/);
  kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(document(changed({}), 'scaled', 'mail')));
  kubectl(['scale', 'mr/scaled', '-n', 'mail', '--replicas=3']);
  assert.equal(kubectl(['get', 'mr', 'scaled', '-n', 'mail', '-o', 'jsonpath={.spec.replicas}']), '3');
  kubectl(['annotate', 'mr', 'scaled', '-n', 'mail', 'mailrelay.dev/paused=true']);
  const [head = '', row = ''] = kubectl(['get', 'mr', 'scaled', '-n', 'mail', '-o', 'wide']).split('\n');
  assert.match(head, /^NAME +READY +REASON +PROBLEMS +STARTTLS /);
  assert.equal(row.slice(head.indexOf('PAUSED'), head.indexOf('MESSAGE')).trim(), 'true');
  kubectl(['delete', 'mr', 'scaled', '-n', 'mail']);
});
