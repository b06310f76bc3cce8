import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { readHead } from './eventhead.ts';

const object = (metadata: object, rest: object = { data: { a: '}' } }) => ({
  ...{ kind: 'ConfigMap', apiVersion: 'v1', metadata },
  ...rest,
});

test('whatever the metadata have, the head has them as the whole event does', () => {
  const metadata = fc
    .tuple(fc.dictionary(fc.string(), fc.jsonValue()), fc.string())
    .map(([fields, name]) => ({ ...fields, name }));
  fc.assert(
    fc.property(metadata, fc.jsonValue(), fc.constantFrom('ADDED', 'MODIFIED'), (own, data, type) => {
      const line = JSON.stringify({ type, object: object(own, { data }) });
      const whole = JSON.parse(line);
      assert.deepEqual(readHead(line), { type, object: { metadata: whole.object.metadata } });
    }),
  );
});

test('custom objects name the version first, and metadata may be all there is', () => {
  const metadata = { annotations: { text: 'a "quoted" { brace \\' }, name: 'relay' };
  const custom = { apiVersion: 'mailrelay.dev/v1alpha1', kind: 'MailRelay', metadata, spec: {} };
  const bare = { metadata };
  for (const whole of [custom, bare]) {
    const line = JSON.stringify({ type: 'MODIFIED', object: whole });
    assert.deepEqual(readHead(line), { type: 'MODIFIED', object: { metadata } });
  }
});

const fieldsV1 = { 'f:data': { '.': {}, 'k:{"name":"}],\\"name\\":\\""}': {}, 'v:"}]}"': {} } };
const managedFields = [
  { manager: 'one', operation: 'Apply', fieldsType: 'FieldsV1', fieldsV1 },
  { manager: 'two', operation: 'Update', fieldsType: 'FieldsV1', fieldsV1, subresource: 'status' },
];

test('managedFields are left out, wherever they are', () => {
  const own = { labels: { managedFields: '"managedFields":[' }, generateName: 'managedFields' };
  const spec = { containers: [{ ports: [{ port: 1 }], name: 'of the content' }], managedFields };
  const last = { name: 'a', resourceVersion: '7', ...own };
  const sorted = { ...own, name: 'a', ownerReferences: [{ uid: 'b' }], resourceVersion: '7' };
  const cases = [
    [{ ...last, managedFields }, last],
    [{ managedFields, ...sorted }, undefined],
    [{ ...own, managedFields, name: 'a', ownerReferences: [{ uid: 'b' }], resourceVersion: '7' }, sorted],
    [
      { ...own, managedFields: [], name: 'a' },
      { ...own, managedFields: [], name: 'a' },
    ],
    [{ ...own, managedFields, uid: '5' }, undefined],
    [last, last],
  ] as const;
  for (const [written, read] of cases) {
    const line = JSON.stringify({ type: 'ADDED', object: object(written, { spec }) });
    assert.deepEqual(readHead(line)?.object.metadata, read, line);
  }
});

test('any other line is left to the parser', () => {
  const lines = [
    JSON.stringify({ type: 'DELETED', object: object({ name: 'a' }) }),
    JSON.stringify({ type: 'BOOKMARK', object: object({ resourceVersion: '5' }) }),
    JSON.stringify({ type: 'ERROR', object: { kind: 'Status', apiVersion: 'v1', metadata: {}, code: 410 } }),
    JSON.stringify({ type: 'ADDED', object: { data: {}, metadata: { name: 'a' } } }),
    JSON.stringify({ object: object({ name: 'a' }), type: 'ADDED' }),
    JSON.stringify({ type: 'ADDED', object: object({ name: 'a' }) }).slice(0, 80),
    JSON.stringify({ type: 'ADDED', object: { metadata: null } }),
    '',
  ];
  for (const line of lines) assert.equal(readHead(line), undefined, line);
});
