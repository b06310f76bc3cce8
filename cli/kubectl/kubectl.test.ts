/** The words of `kubectl mailrelay`: options, names and forms, and what its verbs tell of a spec before any pod is asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mailRelaySpec } from '#crds/mailrelay.ts';
import { changed } from '#test/fixtures/manifests.ts';
import { describeTable } from '../terminal.ts';
import { UsageError } from '../usage.ts';
import { describeEffect, listChanges } from './diff.ts';
import { concerns } from './events.ts';
import { inNamespace, takeGlobals } from './globals.ts';
import { buildPlugin } from './program.ts';
import { splitWords, takesIds } from './queue.ts';
import { findObstacle, listSendWords } from './test.ts';

const NAME = { name: 'relay', namespace: 'mail' };
const spec = (changes: Record<string, unknown>) => mailRelaySpec.parse(changed(changes));

test('the options of kubectl stand anywhere in the line, and all other words go on', () => {
  assert.deepEqual(
    takeGlobals(['queue', 'list', 'relay', '-n', 'mail', '--older', '2h', '-o=json', '--pod', 'relay-0']),
    {
      globals: { namespace: 'mail', pod: 'relay-0', output: 'json' },
      words: ['queue', 'list', 'relay', '--older', '2h'],
    },
  );
  assert.deepEqual(takeGlobals(['--namespace=mail', 'status', 'relay', '-o', 'yaml']), {
    globals: { namespace: 'mail', output: 'yaml' },
    words: ['status', 'relay'],
  });
  assert.deepEqual(takeGlobals(['queue', 'list', 'relay', '-o', 'wide']).words, [
    'queue',
    'list',
    'relay',
    '-o',
    'wide',
  ]);
  for (const words of [
    ['-nmail', '-ojson'],
    ['-n=mail', '-o=json'],
    ['--namespace=mail', '--output=json'],
  ])
    assert.deepEqual(
      takeGlobals(['status', 'relay', ...words]),
      { globals: { namespace: 'mail', output: 'json' }, words: ['status', 'relay'] },
      words.join(' '),
    );
  assert.deepEqual(takeGlobals(['find', '-nmail', 'relay', '-owide', '--', '-n', '-ojson']), {
    globals: { namespace: 'mail', output: 'text' },
    words: ['find', 'relay', '-o', 'wide', '--', '-n', '-ojson'],
  });
  for (const words of [['-n'], ['-n', ''], ['--namespace='], ['-o']])
    assert.throws(() => takeGlobals(['status', 'relay', ...words]), /Option "-.*" has no value/);
  // Of two pods, one would be left out in silence. An alias with -n may be overruled, as with kubectl.
  assert.throws(
    () => takeGlobals(['status', 'relay', '--pod', 'relay-0', '--pod=relay-1']),
    /Option "--pod" cannot be "relay-1": it must be given once/,
  );
  assert.equal(takeGlobals(['-n', 'mail', 'status', 'relay', '-nother']).globals.namespace, 'other');
  assert.throws(() => takeGlobals(['status', 'relay', '-n', 'a/b']), /"--namespace" cannot be "a\/b"/);
  assert.throws(() => takeGlobals(['status', 'relay', '-o', 'xml']), /choose one of text, wide, json, yaml/);
});

test('a trace of what no line can have is refused before any pod is asked', async () => {
  for (const words of [
    ['--peer', 'foo'],
    ['--session', 'a]b'],
  ])
    await assert.rejects(
      buildPlugin({}).parseAsync(['trace', 'relay', ...words], { from: 'user' }),
      UsageError,
    );
});

test('words of the queue tools are told apart: ids from options and their values', () => {
  assert.deepEqual(splitWords('hold', ['--sender', 'joe', 'id1', '--ids', 'id2', '--older', '2h']), {
    ids: ['id1', 'id2'],
    options: ['--sender', 'joe', '--ids', '--older', '2h'],
  });
  assert.deepEqual(splitWords('hold', ['--domain=example.com']), {
    ids: [],
    options: ['--domain=example.com'],
  });
  assert.deepEqual(splitWords('hold', ['--unknown-to-us']), { ids: [], options: ['--unknown-to-us'] });
  assert.deepEqual(splitWords('hold', ['--ids', 'id1', '--', 'id1', '--all']), {
    ids: ['id1', '--all'],
    options: ['--ids'],
  });
});

test('words of verbs that are not about named messages go to all pods', () => {
  for (const action of ['show', 'hold', 'release', 'retry', 'remove', 'export']) assert.ok(takesIds(action));
  for (const action of ['list', 'suppressed', 'lift']) assert.ok(!takesIds(action), action);
});

test('an event is of a relay by the names that the operator gives', () => {
  const long = `relay-${'x'.repeat(34)}`;
  const isOf = (relay: string, kind: string, name: string) => concerns(relay, { kind, name });
  const OWN = [
    ['MailRelay', 'relay'],
    ['StatefulSet', 'relay'],
    ['Service', 'relay'],
    ['Service', 'relay-pods'],
    ['Endpoints', 'relay-pods'],
    ['Pod', 'relay-0'],
    ['Pod', 'relay-12'],
    ['PersistentVolumeClaim', 'spool-relay-0'],
    ['ConfigMap', 'relay-policy'],
    ['ConfigMap', 'relay-ca'],
    ['Certificate', 'relay'],
    ['CertificateRequest', 'relay-1'],
    ['Order', 'relay-1-1234567890'],
    ['Challenge', 'relay-1-1234567890-987654321'],
    ['Certificate', 'relay-internal'],
    ['CertificateRequest', 'relay-internal-2'],
    ['Certificate', 'relay-mta-sts'],
    ['Certificate', 'relay-tls-0123abcd'],
    ['CertificateRequest', 'relay-tls-0123abcd-1'],
    ['CertificateRequest', 'relay-1f4ce-1'],
  ] as const;
  for (const [kind, name] of OWN) assert.ok(isOf('relay', kind, name), `${kind} ${name}`);
  // As cert-manager cuts a name.
  const order = `${long}-1-1234567890`.slice(0, 52).replace(/-$/, '');
  assert.ok(isOf(long, 'Challenge', `${order}-987654321`));
  const OTHERS = [
    ['MailRelay', 'relay2'],
    ['MailRelay', 'relay-2'],
    ['MailRelay', 'relay-tls'],
    ['StatefulSet', 'relay-2'],
    ['Service', 'relay-internal'],
    ['PodDisruptionBudget', 'relay-internal'],
    ['Pod', 'relay2-0'],
    ['Pod', 'relay-2-0'],
    ['Pod', 'relay-tls-0'],
    ['PersistentVolumeClaim', 'spool-relay-2-0'],
    ['PersistentVolumeClaim', 'spool-other-0'],
    ['Certificate', 'relay-2'],
    ['CertificateRequest', 'relay-2-1'],
    ['Order', 'relay-2-1-1234567890'],
    ['CertificateRequest', 'relay-internal-internal-1'],
    ['Pod', 'relay-other-0'],
    ['Pod', 'other-relay'],
  ] as const;
  for (const [kind, name] of OTHERS) assert.ok(!isOf('relay', kind, name), `${kind} ${name}`);
  // A request of the Certificate of "relay" is not one of the relay that has its name.
  assert.ok(!isOf('relay-2', 'CertificateRequest', 'relay-2'));
  assert.ok(isOf('relay-2', 'CertificateRequest', 'relay-2-1'));
});

async function fail(...argv: string[]): Promise<string> {
  const { globals, words } = takeGlobals(argv);
  return buildPlugin({ ...globals, kubeconfig: '/none' })
    .parseAsync(words, { from: 'user' })
    .then(
      () => '',
      (error: Error) => error.message,
    );
}

test('a form that a verb does not have is wrong usage, and none is left out in silence', async () => {
  for (const form of ['json', 'wide', 'yaml']) {
    for (const verb of ['restart', 'pause', 'report'])
      assert.match(await fail(verb, 'relay', '-o', form), /^Option "--output" cannot be .*: leave it out$/);
    for (const verb of [['queue', 'list'], ['status'], ['find'], ['explain'], ['tlsrpt']])
      assert.match(await fail(...verb, 'relay', '-o', form), /kubeconfig "\/none"/, verb.join(' '));
  }
  const test = ['test', 'relay', '--from', 'a@b.example', '--to', 'c@d.example'];
  for (const verb of [['events', 'relay'], ['cert', 'relay'], ['top', 'relay'], test]) {
    assert.match(await fail(...verb, '-o', 'wide'), /choose one of text, json, yaml$/);
    for (const form of ['json', 'yaml']) assert.match(await fail(...verb, '-o', form), /kubeconfig "\/none"/);
  }
});

test('one pod is named only where one pod can be asked: a restart would replace them all', async () => {
  for (const verb of ['restart', 'pause', 'resume', 'events', 'report'])
    assert.match(
      await fail(verb, 'relay', '--pod', 'relay-0'),
      /^Option "--pod" cannot be used with the verb /,
    );
  for (const verb of ['diff', 'render'])
    assert.match(await fail(verb, '-f', '/none', '--pod', 'relay-0'), /^Option "--pod" cannot be used/);
  for (const verb of [['status'], ['queue', 'list'], ['top'], ['cert'], ['trace'], ['console']])
    assert.match(await fail(...verb, 'relay', '--pod', 'relay-0'), /kubeconfig "\/none"/, verb.join(' '));
});

test('what cannot be the name of a relay is refused before it becomes a path of the API', async () => {
  for (const verb of [['status'], ['queue', 'list'], ['pause'], ['restart'], ['report'], ['console']])
    for (const name of ['', 'a/b', '../relay', 'Relay', 'a b', 'a\u001b[31m'])
      assert.match(await fail(...verb, name), /^Argument "relay" cannot be "/, `${verb.join(' ')} ${name}`);
});

test('what a manifest changes is one line for each field, whatever its text has', () => {
  assert.deepEqual(listChanges({ a: 'x' }, { a: 'one\ntwo \u001b[31m\u202e' }, 'spec'), [
    'spec.a: x -> "one\\ntwo \\u001b[31m?"',
  ]);
});

test('a table has columns as wide as their longest value, and no control characters', () => {
  assert.equal(
    describeTable([
      ['A', 'B'],
      ['long value', 'x\u001b[2J'],
    ]),
    'A           B\nlong value  x?[2J\n',
  );
});

test('a manifest goes into the namespace that it names, and -n may not name another one', () => {
  assert.deepEqual(inNamespace({ namespace: 'mail' }, undefined), { namespace: 'mail' });
  assert.deepEqual(inNamespace({ context: 'c' }, 'mail'), { context: 'c', namespace: 'mail' });
  assert.deepEqual(inNamespace({ namespace: 'mail' }, 'mail'), { namespace: 'mail' });
  assert.throws(
    () => inNamespace({ namespace: 'other' }, 'mail'),
    /for namespace "mail", and -n names "other": leave out one/,
  );
});

test('a difference is told field by field, with what restarts', () => {
  const before = spec({});
  const cases: [Record<string, unknown>, string, RegExp][] = [
    [{ outbound: { tls: { level: 'Encrypt' } } }, 'spec.outbound', /router task restarts/],
    [
      { inbound: { listeners: [{ name: 'smtp', port: 25 }], starttls: 'Required' } },
      'spec.inbound.starttls',
      /listener task restarts/,
    ],
    [
      { hostname: 'other.example.com' },
      'spec.hostname: relay.example.com -> other.example.com',
      /Both tasks restart/,
    ],
    [{ tls: { secretName: 'another' } }, 'spec.tls.secretName: relay-tls -> another', /pods are replaced/],
    [{ service: { type: 'NodePort' } }, 'spec.service', /Nothing restarts/],
  ];
  for (const [changes, field, effect] of cases) {
    const after = spec(changes);
    const told = listChanges(before, after, 'spec');
    assert.ok(
      told.some((line) => line.startsWith(field)),
      `${field} is not in ${told.join('; ')}`,
    );
    assert.match(describeEffect(NAME, before, after), effect);
  }
  assert.deepEqual(listChanges(before, spec({}), 'spec'), []);
});

test('a listener that cannot be tried from inside is named with the reason', () => {
  const given = spec({
    inbound: {
      listeners: [
        { name: 'smtp', port: 25 },
        { name: 'off', port: 26, enabled: false },
        { name: 'balanced', port: 27, proxyProtocol: { networks: ['10.0.0.0/24'] } },
        { name: 'submissions', port: 465, implicitTLS: true, auth: 'Required' },
      ],
    },
  });
  const obstacles = given.inbound.listeners.map((one) => findObstacle(given, one, {}));
  assert.deepEqual(
    obstacles.map((one) => one?.slice(0, 10)),
    [undefined, 'it is swit', 'only its l', 'it wants a'],
  );
  const last = given.inbound.listeners[3];
  assert.ok(last);
  assert.equal(findObstacle(given, last, { user: 'alice' }), undefined);
  const plain = { name: 'plain', port: 25, starttls: 'Disabled' } as const;
  assert.equal(findObstacle(given, plain, {}), undefined);
  assert.match(findObstacle(given, plain, { user: 'alice' }) ?? '', /never sent in clear: leave --user out$/);
  assert.equal(findObstacle(given, { ...plain, implicitTLS: true }, { user: 'alice' }), undefined);
  const words = listSendWords({ relay: 'relay', namespace: 'mail' }, given, last, {
    from: 'a@x.example',
    to: 'b@x.example',
    user: 'alice',
  });
  assert.ok(words.join(' ').includes('--server relay.mail.svc:465'));
  assert.ok(words.join(' ').includes('--tls implicit'));
  assert.ok(!words.includes('--ca'), 'the pod knows whether it has an authority');
});
