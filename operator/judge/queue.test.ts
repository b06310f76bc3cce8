/** The messages about mail that cannot be delivered: they end with the cure of the cause. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FailureCause } from '#crds/failure.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import {
  eventsNotTaken,
  loginRefused,
  mailStuck,
  mailWaiting,
  queueMoving,
  secretHeldBack,
} from './queue.ts';

const relay = relayObject();
const HOP = 'store.example:25';

function worldWith(cause: FailureCause | undefined, oldestSeconds: number, message = 'it said no') {
  const { queue } = podReport(relay);
  const report = podReport(relay, {
    queue: {
      ...queue,
      depth: 1,
      oldestSeconds,
      deferrals: [{ destination: HOP, ...(cause ? { cause } : {}), message }],
      waits: [{ destination: HOP, configured: true, withoutSuccessSeconds: 120, message }],
    },
  });
  return { ...settledWorld({ pods: [podView('relay-0', report)] }), obstacles: [] };
}

for (const [cause, end] of [
  ['starttls-missing', /it said no: let the host offer STARTTLS, or lower tls\.level for it$/],
  ['certificate-expired', /it said no: renew the certificate of the host$/],
  // An older relay does not tell it.
  [undefined, /it said no$/],
] as const) {
  test(`mail that is stuck by ${cause} is told with its cure, and so is mail that waits for long`, () => {
    assert.match(mailStuck(worldWith(cause, 5))?.message ?? '', end);
    assert.match(mailWaiting(worldWith(cause, 4_000))?.message ?? '', end);
  });
}

for (const [cause, message, end] of [
  [
    'certificate-expired',
    '4.7.5 store.example:25: TLS level Verify is not met: certificate is not yet valid',
    /: check the clocks of the host and of the nodes$/,
  ],
  [
    'certificate-expired',
    '4.7.5 a:25: TLS level Verify is not met: certificate has expired; 4.7.5 b:25: certificate is not yet valid',
    /: renew the certificate of the host$/,
  ],
  [
    'handshake',
    '4.7.5 store.example:25: the handshake broke: our certificate is refused (tlsv1 alert unknown ca)',
    /: let the host trust the authority of our certificate, or set clientCertificateSecretName for it/,
  ],
  [
    'handshake',
    '4.7.5 store.example:25: the handshake broke: no TLS in the answer (wrong version number)',
    /: see what answers in place of TLS at that port of the host$/,
  ],
  [
    'handshake',
    '4.7.5 store.example:25: the handshake broke: no shared version or cipher (alert handshake failure)',
    /: let both sides share a TLS version and a cipher, see tls\.minVersion$/,
  ],
  [
    'login',
    '4.7.8 store.example:25: the SOCKS proxy proxy:1080 refuses our login: check socksProxy.credentialsSecretName and its Secret',
    /check socksProxy\.credentialsSecretName and its Secret$/,
  ],
  [
    'login',
    '4.7.8 store.example:25 refuses our login (the token service says AADSTS700024): the clock of the node is wrong: correct its time',
    /: the clock of the node is wrong: correct its time$/,
  ],
  [
    'login',
    '4.7.8 store.example:25 refuses our login (535 5.7.8): check the Secret with its credentials',
    /: correct the Secret that credentialsSecretName names for it$/,
  ],
] as const)
  test(`the cure for ${cause} is that of its words: ${message}`, () => {
    assert.match(mailStuck(worldWith(cause, 5, message))?.message ?? '', end);
    const { queue } = podReport(relay);
    const loginsRefused = [{ destination: HOP, message }];
    const pods = [podView('relay-0', podReport(relay, { queue: { ...queue, loginsRefused } }))];
    if (cause === 'login')
      assert.match(loginRefused({ ...settledWorld({ pods }), obstacles: [] })?.message ?? '', end);
  });

test('a login that several hops refuse is told of all of them', () => {
  const { queue } = podReport(relay);
  const said = (...hops: string[]) =>
    hops.map((destination) => ({ destination, message: 'it refuses our login' }));
  const told = (...pods: string[][]) => {
    const views = pods.map((hops, index) => {
      const report = { queue: { ...queue, loginsRefused: said(...hops), secretsHeldBack: said(...hops) } };
      return podView(`relay-${index}`, podReport(relay, report));
    });
    const world = { ...settledWorld({ pods: views }), obstacles: [] };
    return [loginRefused(world)?.message ?? '', secretHeldBack(world)?.message ?? ''];
  };
  for (const message of told(['b.example:587', 'c.example:587'], ['b.example:587', 'a.example:25']))
    assert.match(
      message,
      /b\.example:587.*: it refuses our login; the same at a\.example:25 and c\.example:587: /,
    );
  for (const message of told(['b.example:587'], ['b.example:587'])) assert.doesNotMatch(message, /the same/);
  // Each try makes its hop the last one of the report.
  assert.deepEqual(told(['b.example:587', 'a.example:25']), told(['a.example:25', 'b.example:587']));
});

const moving = (depth: number, ...waits: [destination: string, seconds: number][]) => {
  const { queue } = podReport(relay);
  const report = podReport(relay, {
    queue: {
      ...queue,
      depth,
      waits: waits.map(([destination, withoutSuccessSeconds]) => ({
        destination,
        configured: false,
        withoutSuccessSeconds,
        message: 'refused',
      })),
    },
  });
  return queueMoving({ ...settledWorld({ pods: [podView('relay-0', report)] }), obstacles: [] })?.message;
};

test('mail that goes out to some only is not said to go out', () => {
  assert.equal(moving(0), 'No mail waits');
  assert.equal(moving(40), 'Mail goes out');
  assert.equal(moving(40, ['x.example', 5]), 'Mail goes out');
  assert.equal(
    moving(40, ['x.example', 3_000]),
    'Mail goes out, but not to x.example, which takes none: "mailrelay queue list" in the pods says why',
  );
  assert.match(
    moving(40, ['x.example', 3_000], ['y.example', 3_000], ['z.example', 5]) ?? '',
    /but not to 2 destinations that take none: /,
  );
});

test('events are counted with their noun, and none is no number', () => {
  const told = (waiting: number, failure: string | null, hasDropped: boolean) => {
    const report = podReport(relay, { events: { waiting, failure, hasDropped } });
    const world = { ...settledWorld({ pods: [podView('relay-0', report)] }), obstacles: [] };
    return eventsNotTaken(world)?.message.replace(/^.*its events: (.*): mend the receiver.*$/, '$1');
  };
  assert.equal(told(0, 'HTTP status 500', false), 'HTTP status 500');
  assert.equal(told(1, 'HTTP status 500', false), 'HTTP status 500: 1 event waits');
  assert.equal(told(2, null, true), 'It is too slow: 2 events wait and older ones were dropped');
  assert.equal(told(0, null, true), 'It is too slow: older ones were dropped');
});
