import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeValues } from './chartvalues.ts';

const rowsOf = (text: string) => describeValues(text).trimEnd().split('\n').slice(2);

test('a value, a value in a group, and a whole group that is described as one', () => {
  const text = `
# The first group.
image:
  # -- Where it is.
  repository: ""
  # A note for a reader of the file.
  # -- When it is pulled,
  # and by which node.
  pullPolicy: Always

# -- What the pod asks for.
resources:
  requests: {cpu: 50m}
# -- How many.
replicas: 1
`;
  assert.deepEqual(rowsOf(text), [
    '| `image.repository` | `""` | Where it is. |',
    '| `image.pullPolicy` | `Always` | When it is pulled, and by which node. |',
    '| `resources` | `{ requests: { cpu: 50m } }` | What the pod asks for. |',
    '| `replicas` | `1` | How many. |',
  ]);
});

for (const [title, text] of [
  ['no comment', 'replicas: 1\n'],
  ['a comment that describes nothing', '# How many.\nreplicas: 1\n'],
  ['an empty map', 'replicas: {}\n'],
  ['a list in a group', '# -- A value.\na: 1\ngroup:\n  replicas: []\n'],
] as const)
  test(`an undescribed value is an error: ${title}`, () => {
    assert.throws(() => describeValues(text), /replicas has no comment/);
  });
