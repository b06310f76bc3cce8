/** The images that the chart names for the operator and for the relays, whatever the values. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  argumentsOf,
  helm,
  helm4,
  IMAGE,
  only,
  podOf,
  problem,
  rendered,
  template,
  type Values,
} from './rendered.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const OTHER_DIGEST = `sha256:${'b'.repeat(64)}`;

const imagesOf = (values: Values) => {
  const objects = rendered(values);
  const relay = argumentsOf(objects).find((argument) => argument.startsWith('--relay-image='));
  return [podOf(objects).spec.containers[0].image, relay?.slice('--relay-image='.length)];
};

describe('the images', { skip: problem }, () => {
  const relay = (image: object) => ({ relay: { image } });
  const own = (image: object) => ({ image: { repository: IMAGE, ...image } });
  const CASES: readonly [string, Values, string, string][] = [
    ['nothing is said: the version of the chart', {}, `${IMAGE}:0.1.0`, `${IMAGE}:0.1.0`],
    ['a tag reaches the relays', own({ tag: 'x' }), `${IMAGE}:x`, `${IMAGE}:x`],
    [
      'a version with a + is a tag',
      own({ tag: '1.2.3+build.7' }),
      `${IMAGE}:1.2.3_build.7`,
      `${IMAGE}:1.2.3_build.7`,
    ],
    [
      'a tag of digits alone is a number in YAML',
      { ...own({ tag: 20_260_101 }), ...relay({ tag: 7 }) },
      `${IMAGE}:20260101`,
      `${IMAGE}:7`,
    ],
    ['a digest reaches the relays', own({ digest: DIGEST }), `${IMAGE}@${DIGEST}`, `${IMAGE}@${DIGEST}`],
    [
      'a digest of the relays alone is that of both',
      relay({ digest: DIGEST }),
      `${IMAGE}@${DIGEST}`,
      `${IMAGE}@${DIGEST}`,
    ],
    [
      'a tag of the relays is no reason for another operator',
      relay({ tag: 'old' }),
      `${IMAGE}:0.1.0`,
      `${IMAGE}:old`,
    ],
    [
      'relays of an older tag beside an operator by digest',
      { ...own({ digest: DIGEST }), ...relay({ tag: 'old' }) },
      `${IMAGE}@${DIGEST}`,
      `${IMAGE}:old`,
    ],
    [
      'relays by digest beside an operator of a tag',
      { ...own({ tag: 'new' }), ...relay({ digest: DIGEST }) },
      `${IMAGE}:new`,
      `${IMAGE}@${DIGEST}`,
    ],
    [
      'each its own digest',
      { ...own({ digest: DIGEST }), ...relay({ digest: OTHER_DIGEST }) },
      `${IMAGE}@${DIGEST}`,
      `${IMAGE}@${OTHER_DIGEST}`,
    ],
    [
      'another repository of the relays',
      { ...own({ tag: 'x' }), ...relay({ repository: 'other.example/relay' }) },
      `${IMAGE}:x`,
      'other.example/relay:x',
    ],
  ];
  for (const [what, values, operator, relays] of CASES)
    test(what, () => assert.deepEqual(imagesOf(values), [operator, relays]));

  const POLICIES: readonly [Values, string, string][] = [
    [{}, 'IfNotPresent', 'IfNotPresent'],
    [own({ pullPolicy: 'Always' }), 'Always', 'Always'],
    [relay({ pullPolicy: 'Never' }), 'IfNotPresent', 'Never'],
    [
      { ...own({ pullPolicy: 'Always' }), ...relay({ pullPolicy: 'IfNotPresent' }) },
      'Always',
      'IfNotPresent',
    ],
    [own({ pullPolicy: '' }), 'IfNotPresent', 'IfNotPresent'],
  ];
  for (const [values, operator, relays] of POLICIES)
    test(`are pulled as is said, the relays' like the operator's unless said: ${JSON.stringify(values)}`, () => {
      const objects = rendered(values);
      assert.equal(podOf(objects).spec.containers[0].imagePullPolicy, operator);
      assert.ok(argumentsOf(objects).includes(`--relay-image-pull-policy=${relays}`));
      assert.equal(only(objects, 'Pod').spec.containers[0].imagePullPolicy, relays);
    });

  test('a tag of digits alone on the command line is one, too', () => {
    for (const by of [helm, helm4])
      for (const tag of ['2', '0', '20260101', '007', '1.0']) {
        const objects = rendered({}, { by, set: `image.tag=${tag}` });
        assert.equal(podOf(objects).spec.containers[0].image, `${IMAGE}:${tag}`);
      }
    assert.throws(() => template({ image: { repository: IMAGE, tag: 1.5 } }), /tag/);
  });

  test('what is no name of an image is refused at once, with the cure', () => {
    for (const repository of [
      'r/m:1.0',
      'r/m@sha256:aa',
      'https://r/m',
      'r/m/',
      ' r/m',
      'r.example/Mail',
      'r:x/m',
    ])
      assert.throws(
        () => imagesOf({ image: { repository } }),
        /is no name of an image: .* goes into image\.tag/,
        repository,
      );
    assert.throws(() => imagesOf(own({ tag: '1.0 beta' })), /"\S+:1\.0 beta" is no name of an image/);
    assert.throws(() => imagesOf({ global: { imageRegistry: 'https://mirror' } }), /"https:\S+" is no name/);
    assert.throws(() => imagesOf(relay({ repository: 'r/m:1' })), /"r\/m:1:0\.1\.0" is no name/);
    for (const repository of [
      'm',
      'localhost/m',
      'r.example:5000/team_1/mail--relay',
      '[fd00::1]:5000/m',
      'R.example/m',
    ])
      assert.deepEqual(imagesOf({ image: { repository } })[0], `${repository}:0.1.0`);
  });

  test('the registry of all images takes the place of that of a repository', () => {
    for (const [repository, path] of [
      ['registry.example/team/mailrelay', 'team/mailrelay'],
      ['localhost:5000/mailrelay', 'mailrelay'],
      ['localhost/mailrelay', 'mailrelay'],
      ['team/mailrelay', 'team/mailrelay'],
      ['mailrelay', 'mailrelay'],
    ]) {
      const [operator, relays] = imagesOf({
        global: { imageRegistry: 'mirror.example/cache' },
        image: { repository },
      });
      assert.equal(operator, `mirror.example/cache/${path}:0.1.0`);
      assert.equal(relays, operator);
    }
  });
});
