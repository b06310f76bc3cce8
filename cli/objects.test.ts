import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findObject } from './objects.ts';
import type { YamlDocument } from './yamlfiles.ts';

type Values = Readonly<Record<string, unknown>>;

const documentOf = (kind: string, namespace: string | undefined, values: Values): YamlDocument => ({
  file: 'one.yaml',
  value: { kind, metadata: { name: 'one', namespace }, ...values },
  locate: (keys) => ({ file: keys.join('/'), line: 1, column: 1 }),
});
const find = (kind: 'Secret' | 'ConfigMap', values: Values) =>
  findObject(
    [documentOf(kind, undefined, values)],
    { kind, name: 'one' },
    { namespace: 'default', namesNamespace: false },
  );

test('the object of the namespace of the MailRelay counts, the last one with its name', () => {
  const all = [
    documentOf('ConfigMap', 'a', { data: { key: 'of a' } }),
    documentOf('ConfigMap', undefined, { data: { key: 'of none' } }),
    documentOf('ConfigMap', 'b', { data: { key: 'of b, first' } }),
    documentOf('ConfigMap', 'b', { data: { key: 'of b' } }),
  ];
  const keyOf = (documents: readonly YamlDocument[], namespace?: string) => {
    const place = { namespace: namespace ?? 'default', namesNamespace: namespace !== undefined };
    return findObject(documents, { kind: 'ConfigMap', name: 'one' }, place)?.contents['key']?.toString();
  };
  assert.deepEqual(
    [keyOf(all, 'a'), keyOf(all, 'b'), keyOf(all, 'c'), keyOf(all)],
    ['of a', 'of b', 'of none', 'of none'],
  );
  const [first] = all;
  assert.ok(first);
  assert.deepEqual([keyOf([first], 'b'), keyOf([first])], [undefined, 'of a']);
});

test('values are bytes, and what gzip has packed stays packed', () => {
  const packed = Buffer.from([0x1f, 0x8b, 0xff, 0]);
  const map = find('ConfigMap', {
    data: { a: 'ü', none: null },
    binaryData: { b: packed.toString('base64') },
  });
  assert.deepEqual(map?.contents, { a: Buffer.from('ü'), none: Buffer.alloc(0), b: packed });
  const secret = find('Secret', { data: { a: 'eA==\n', b: 'eQ==' }, stringData: { b: 'text' } });
  assert.deepEqual(secret?.contents, { a: Buffer.from('x'), b: Buffer.from('text') });
  assert.deepEqual([map?.faults, secret?.faults], [[], []]);
  assert.deepEqual(find('Secret', { data: null, stringData: undefined })?.contents, {});
});

for (const [what, kind, values, place, told] of [
  ['a number', 'ConfigMap', { data: { a: 5 } }, 'data/a', 'data.a must be text'],
  ['a list in place of keys', 'ConfigMap', { data: ['a'] }, 'data', 'data must have keys'],
  ['a text in place of keys', 'Secret', { stringData: 'a' }, 'stringData', 'stringData must have keys'],
  ['plain text in data', 'Secret', { data: { a: 'hunter2!' } }, 'data/a', 'data.a must be base64'],
  ['base64 that is cut short', 'Secret', { data: { a: 'eA=' } }, 'data/a', 'data.a must be base64'],
  ['base64 with a blank', 'Secret', { data: { a: 'eHh4 eHh4' } }, 'data/a', 'data.a must be base64'],
  [
    'a way out of the folder',
    'ConfigMap',
    { data: { '../a': '' } },
    'data/../a',
    'data.../a cannot be a key',
  ],
  [
    'a name of the kubelet',
    'Secret',
    { stringData: { '..data': '' } },
    'stringData/..data',
    'stringData...data',
  ],
  ['the folder itself', 'Secret', { stringData: { '.': '' } }, 'stringData/.', 'stringData.. cannot be'],
] as const)
  test(`${what} is a fault with its place, and no content`, () => {
    const found = find(kind, values);
    assert.deepEqual(found?.contents, {});
    assert.deepEqual(
      found.faults.map(({ file }) => file),
      [place],
    );
    const message = String(found.faults[0]?.message);
    assert.ok(message.startsWith(`${kind} "one": ${told}`), message);
    assert.doesNotMatch(message, /hunter2/);
  });

test('the API server takes no ConfigMap with one key in two fields', () => {
  const given = { data: { a: 'x', b: 'y' }, binaryData: { c: 'eg==', a: 'eA==' } };
  const message = 'ConfigMap "one": binaryData.a has the key of a value in data: remove one of them';
  assert.deepEqual(find('ConfigMap', given)?.faults, [{ file: 'binaryData/a', line: 1, column: 1, message }]);
});
