import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { changed, document, MISSHAPEN, WRONG } from '#test/fixtures/manifests.ts';
import { GOOD_METADATA, WRONG_BESIDE, WRONG_METADATA } from '#test/fixtures/metadata.ts';
import fc from '#test/kit/property.ts';
import { validateMailRelay } from './validate.ts';

const faultsOf = (value: unknown) => {
  const judged = validateMailRelay(value);
  return judged.kind === 'invalid' ? judged.faults : [];
};

test('validateMailRelay takes the good manifest and the full example', () => {
  assert.deepEqual(faultsOf(document(changed({}))), []);
  const full = readFileSync(new URL('../examples/full.yaml', import.meta.url), 'utf8');
  assert.deepEqual(faultsOf(parse(full)), []);
});

for (const { what, spec, says } of WRONG) {
  test(`validateMailRelay refuses ${what}, and names the cure`, () => {
    const messages = faultsOf(document(changed(spec))).map(({ message }) => message);
    assert.ok(
      messages.some((message) => message.includes(says)),
      `"${says}" is not in: ${messages.join(' | ')}`,
    );
  });
}

for (const { what, spec } of MISSHAPEN) {
  test(`validateMailRelay refuses ${what}, and names the field`, () => {
    const faults = faultsOf(document(changed(spec)));
    assert.ok(faults.length > 0);
    for (const { path, message } of faults)
      assert.ok(path.startsWith('spec.') && message.length > 0, `${path}: ${message}`);
  });
}

test('validateMailRelay refuses a name that cannot be that of a Service', () => {
  for (const name of ['1relay', 'Relay', 'a.b', 'x'.repeat(43)]) {
    assert.equal(faultsOf(document(changed({}), name))[0]?.path, 'metadata.name', name);
  }
});

test('a name in capitals, in letters of a country or with a final dot is told as the field takes it', () => {
  for (const [given, wanted] of [
    ['Example.COM', 'example.com'],
    ['b\u00fccher.example', 'xn--bcher-kva.example'],
    ['B\u00dcCHER.example.', 'xn--bcher-kva.example'],
    ['a b.example', undefined],
    ['b\u00fccher.example/x', undefined],
    ['b\u00fccher.example:25', undefined],
    ['', undefined],
  ] as const) {
    const [fault] = faultsOf(document(changed({ hostname: given })));
    const message = fault?.message ?? 'no fault';
    assert.equal(/: write (\S+)$/.exec(message)?.[1], wanted, message);
  }
  const [fault] = faultsOf(document(changed({ addresses: { sendAllTo: 'Joe@Example.com' } })));
  assert.match(fault?.message ?? '', /, not "Joe@Example\.com": write Joe@example\.com$/);
});

/** Every fault as "path: message". */
const told = (spec: Record<string, unknown>) =>
  faultsOf(document({ ...changed({}), ...spec })).map(({ path, message }) => `${path}: ${message}`);

test('a value of a wrong kind is told in plain words, with what it must be', () => {
  const inbound = (listener: Record<string, unknown>) => ({ inbound: { listeners: [listener] } });
  for (const [spec, line] of [
    [{ hostname: 5 }, 'spec.hostname: must be text, not 5: put it into quotes'],
    [
      { hostname: 'A b' },
      'spec.hostname: must be a host name in lower case, such as relay.example.com, not "A b"',
    ],
    [{ replicas: '2' }, 'spec.replicas: must be a number, not the text "2": remove the quotes'],
    [{ replicas: 1.5 }, 'spec.replicas: must be a whole number, not 1.5'],
    [{ replicas: 101 }, 'spec.replicas: must be at most 100'],
    [{ tls: 'x' }, 'spec.tls: must be an object with fields, not "x"'],
    [{ tls: null }, 'spec.tls: must be an object with fields, and has no value: set it, or remove it'],
    [
      { queue: { mode: 'durable' } },
      'spec.queue.mode: must be Durable or CutThrough, not "durable": did you mean Durable?',
    ],
    [inbound({ name: 'smtp' }), 'spec.inbound.listeners[0].port: is required: add it'],
    [
      inbound({ name: 'smtp', port: 25, implicitTLS: 'yes' }),
      'spec.inbound.listeners[0].implicitTLS: must be true or false without quotes, not the text "yes"',
    ],
    [
      { inbound: { listeners: [] } },
      'spec.inbound.listeners: must not be an empty list: add an entry, or remove the field',
    ],
    [{ inbound: { listeners: {} } }, 'spec.inbound.listeners: must be a list, not {}'],
    [{ inbuond: {} }, 'spec.inbuond: there is no such field: did you mean inbound?'],
    [{ colour: 'red' }, 'spec.colour: there is no such field: remove it, or see docs/reference.md'],
  ] as const)
    assert.deepEqual(told(spec), [line]);
});

test('no fault has the words of the library', () => {
  for (const { what, spec } of [...MISSHAPEN, ...WRONG])
    for (const { message } of faultsOf(document(changed(spec))))
      assert.doesNotMatch(message, /expected|received|Invalid|Too (small|big)/, `${what}: ${message}`);
});

test('a fault of one field hides no rule about others', () => {
  const both = told({
    replicas: 'two',
    queue: { mode: 'CutThrough', maxMessages: 5 },
    inbound: {
      listeners: [
        { name: 'a', port: 25, auth: 'Maybe' },
        { name: 'b', port: 465, implicitTLS: true, starttls: 'Required' },
      ],
    },
  });
  assert.equal(both.length, 4, both.join('\n'));
  for (const words of ['spec.replicas: ', '[0].auth: ', 'remove its starttls', 'CutThrough keeps nothing'])
    assert.ok(
      both.some((line) => line.includes(words)),
      words,
    );
});

test('a rule about a field with a fault waits for that field', () => {
  assert.equal(told({ tls: { secretName: 5 } }).length, 1);
  assert.equal(told({ inbound: 5 }).length, 1);
  assert.equal(
    told({
      inbound: {
        listeners: [
          { name: 'a', port: '25' },
          { name: 'b', port: 25 },
        ],
      },
    }).length,
    1,
  );
  assert.deepEqual(faultsOf({ ...document({}), spec: null }).length, 1);
});

test('a rule finds the entries that break it, and beside them those that have a fault of their own', () => {
  const listeners = (...ports: number[]) => ({
    inbound: { listeners: ports.map((port, index) => ({ name: `l${index}`, port })) },
  });
  for (const [spec, ...paths] of [
    [listeners(25, 26, 25, 25), 'spec.inbound.listeners[2].port', 'spec.inbound.listeners[3].port'],
    [
      listeners(99_999, 25, 9090, 25),
      'spec.inbound.listeners[0].port',
      'spec.inbound.listeners[3].port',
      'spec.inbound.listeners[2].port',
    ],
    [{ queue: { mode: 'CutThrough', maxMessages: 5 } }, 'spec.queue.maxMessages'],
    [{ ...listeners(25), tls: undefined }, 'spec'],
    [
      { outbound: { dkim: [{ domain: 'a.example', selector: 's', secretName: 'k', use: 'Publish' }] } },
      'spec.outbound',
    ],
    // The key with the fault may be the one that is wanted.
    [
      {
        outbound: {
          dkim: [
            { domain: 'a.example', selector: 's', secretName: 'k', use: 'Publish' },
            { domain: 'a.example', selector: 't', secretName: 'k', use: 'sign' },
          ],
        },
      },
      'spec.outbound.dkim[1].use',
    ],
    [
      { inbound: { ...listeners(25).inbound, clients: { networks: ['x', '10.0.0.0/33'] } } },
      'spec.inbound.clients.networks[0]',
      'spec.inbound.clients.networks[1]',
    ],
  ] as const)
    assert.deepEqual(
      faultsOf(document({ ...changed({}), ...spec })).map(({ path }) => path),
      paths,
    );
});

test('whatever one value of the good manifest becomes, there is a verdict', () => {
  const anything = fc.anything({ maxDepth: 2 });
  fc.assert(
    fc.property(
      fc.constantFrom('hostname', 'replicas', 'tls', 'inbound', 'outbound', 'queue', 'pod'),
      anything,
      (key, value) => {
        for (const { path, message } of faultsOf(document({ ...changed({}), [key]: value })))
          assert.ok(path !== '' && message !== '');
      },
    ),
  );
});

test('validateMailRelay names what is no MailRelay at all', () => {
  for (const value of [null, 5, {}, { kind: 'Pod' }]) assert.ok(faultsOf(value).length > 0);
});

/** Every fault of a manifest with these fields beside its spec. */
const besides = (fields: Readonly<Record<string, unknown>>) =>
  faultsOf({ ...document(changed({})), ...fields }).map(({ path, message }) => `${path}: ${message}`);
const judgeMetadata = (metadata: Readonly<Record<string, unknown>>) =>
  besides({ metadata: { name: 'relay', ...metadata } });

test('metadata and the fields beside spec are judged as the API server judges them', () => {
  for (const metadata of GOOD_METADATA) assert.deepEqual(judgeMetadata(metadata), []);
  assert.deepEqual(besides({ status: { any: 'thing' } }), []);
  const wrong = [
    ...WRONG_METADATA.map(({ metadata, says }) => [judgeMetadata(metadata), says] as const),
    ...WRONG_BESIDE.map(({ fields, says }) => [besides(fields), says] as const),
  ];
  for (const [told, says] of wrong) {
    assert.equal(told.length, 1, `${says}: ${told.join(' | ')}`);
    assert.match(told[0] ?? '', says);
  }
});

test('a namespace has the name of one', () => {
  assert.deepEqual(judgeMetadata({ namespace: 'mail-1' }), []);
  for (const namespace of ['Mail', 'mail.prod', '-mail', 'x'.repeat(64), 'a b'])
    assert.match(
      judgeMetadata({ namespace }).join(),
      /^metadata\.namespace: must be the name of a namespace: /,
    );
});
