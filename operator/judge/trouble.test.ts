/** The reason of Kubernetes for a pod that does not run, as a sentence; and whether waiting helps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findTrouble as find, findNotReadySince, hasRun, type PodState } from './trouble.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const ago = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();
const findTrouble = (state: PodState) => find(state, { now: NOW });

const waiting = (reason: string, message?: string, ended?: object): PodState => ({
  containerStatuses: [
    {
      name: 'relay',
      state: { waiting: { reason, ...(message ? { message } : {}) } },
      ...(ended ? { lastState: { terminated: ended } } : {}),
    },
  ],
});
const unscheduled = (message: string): PodState => ({
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
});

/** It runs since some minutes, and ended before, after a run of some minutes. */
const running = (restartCount: number, exitCode: number, since = 1, ran = 1): PodState => ({
  containerStatuses: [
    {
      name: 'relay',
      restartCount,
      state: { running: { startedAt: ago(since) } },
      lastState: {
        terminated: {
          exitCode,
          reason: 'Error',
          startedAt: ago(since + ran),
          finishedAt: ago(since),
        },
      },
    },
  ],
});

const ofPod = (reason: string, message: string): PodState => ({
  phase: 'Failed',
  reason,
  message,
  containerStatuses: [{ name: 'relay', state: { terminated: { exitCode: 137 } } }],
});

type Row = [string, PodState, RegExp | undefined, boolean];
const TABLE: readonly Row[] = [
  ['nothing', {}, undefined, false],
  ['a step on the way', waiting('ContainerCreating'), undefined, false],
  [
    'no node',
    unscheduled('0/3 nodes: insufficient cpu'),
    /^Unschedulable: 0\/3 nodes: insufficient cpu \(make room/,
    false,
  ],
  [
    'nodes that are cordoned or away',
    unscheduled(
      '0/2 nodes are available: 1 node(s) were unschedulable, 1 node(s) had untolerated taint {x: }',
    ),
    /\(make room, bring nodes back, or change/,
    false,
  ],
  [
    'an image',
    waiting('ImagePullBackOff', 'Back-off pulling "x"'),
    /^ImagePullBackOff: Back-off .* \(correct the image/,
    true,
  ],
  ['an image that is not there', waiting('ErrImageNeverPull'), /^ErrImageNeverPull \(load the image/, true],
  ['a name that is none', waiting('InvalidImageName'), /^InvalidImageName \(correct/, true],
  ['a config', waiting('CreateContainerConfigError', 'secret "s" not found'), /: secret "s" not found/, true],
  [
    'a fault that is new to us',
    waiting('BrandNewError', 'so it is'),
    /^BrandNewError: so it is \(mend what the message names\)$/,
    true,
  ],
  [
    'one that says nothing',
    waiting('BrandNewError'),
    /^BrandNewError \("kubectl describe pod" may say more\)$/,
    true,
  ],
  [
    'a gate that others set',
    { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated', message: 'gates' }] },
    /^SchedulingGated: gates \(mend what the message names\)$/,
    false,
  ],
  [
    'an image of another program',
    waiting('CrashLoopBackOff', 'back-off', {
      exitCode: 128,
      reason: 'StartError',
      message: 'exec: "relay": executable file not found in $PATH',
    }),
    /^CrashLoopBackOff, StartError: it ended with status 128: exec: "relay": .* \(correct the image if it is another program, or mend/,
    true,
  ],
  [
    'an image of another program, whose shell says so',
    waiting('CrashLoopBackOff', 'back-off', {
      exitCode: 127,
      reason: 'Error',
      message: 'docker-entrypoint.sh: exec: line 47: relay: not found',
    }),
    /^CrashLoopBackOff: it ended with status 127: .*not found \(correct the image if it is another program/,
    true,
  ],
  [
    'a crash, and what it said',
    waiting('CrashLoopBackOff', 'back-off', {
      exitCode: 1,
      reason: 'Error',
      message: 'a\nAnother relay uses the state folder\n',
    }),
    /^CrashLoopBackOff: it ended with status 1: Another relay uses the state folder$/,
    true,
  ],
  [
    'a crash, said in a line of the log',
    waiting('CrashLoopBackOff', undefined, {
      exitCode: 2,
      message: '{"event":"failed","message":"no policy"}',
    }),
    /^CrashLoopBackOff: it ended with status 2: no policy$/,
    true,
  ],
  [
    'too little memory',
    waiting('CrashLoopBackOff', undefined, { exitCode: 137, reason: 'OOMKilled' }),
    /^CrashLoopBackOff, OOMKilled: it ended with status 137 \(raise pod\.resources\.limits\.memory\)$/,
    true,
  ],
  [
    'a crash without a word',
    waiting('CrashLoopBackOff'),
    /^CrashLoopBackOff \("kubectl logs --previous" and "kubectl describe pod" may say more\)$/,
    true,
  ],
  [
    'an end just now',
    { containerStatuses: [{ name: 'relay', state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }] },
    /^OOMKilled: it ended with status 137 \(raise/,
    false,
  ],
  [
    'the second crash, while it runs again',
    running(2, 1),
    /^CrashLoopBackOff: it ended with status 1 \("kubectl logs --previous" and "kubectl describe pod" may say more\)$/,
    true,
  ],
  ['two crashes, the last one long ago', running(2, 137, 60), undefined, false],
  ['one crash long ago', running(1, 137, 60), undefined, false],
  [
    'a crash just now, after a long run',
    running(2, 137, 1, 60),
    /^Error: it ended with status 137 \("kubectl logs --previous" and "kubectl describe pod" may say more\)$/,
    false,
  ],
  [
    'an eviction',
    ofPod('Evicted', 'The node was low on resource: memory.'),
    /^Evicted: The node was low on resource: memory\. \(make room on its node/,
    false,
  ],
  ...['OutOfcpu', 'OutOfmemory', 'OutOfpods'].map(
    (reason): Row => [
      `a node that refuses it: ${reason}`,
      ofPod(reason, 'Pod was rejected'),
      new RegExp(`^${reason}: Pod was rejected \\(make room`),
      false,
    ],
  ),
  [
    'a node with other labels',
    ofPod('NodeAffinity', 'Pod was rejected'),
    /^NodeAffinity: .*\(change what spec\.pod asks/,
    false,
  ],
  [
    'a device that is not there',
    ofPod('UnexpectedAdmissionError', 'Allocate failed'),
    /^UnexpectedAdmissionError: Allocate failed \(see the log of the kubelet/,
    false,
  ],
  [
    'the first one',
    running(1, 255),
    /^Error: it ended with status 255 \("kubectl logs --previous" and "kubectl describe pod" may say more\)$/,
    false,
  ],
  ['a restart after an end that was asked for', running(3, 0), undefined, false],
  [
    'the third crash, just now',
    {
      containerStatuses: [
        { name: 'relay', restartCount: 3, state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } },
      ],
    },
    /^CrashLoopBackOff, OOMKilled: it ended with status 137 \(raise/,
    true,
  ],
];

for (const [what, state, words, isStuck] of TABLE) {
  test(`${what} is ${words ?? 'no trouble'}`, () => {
    const found = findTrouble(state);
    if (!words) return assert.equal(found, undefined);
    assert.match(found?.message ?? '', words);
    assert.equal(found?.isStuck, isStuck);
  });
}

test('a container that is not the relay is named, and so are its fields', () => {
  const beside = (name: string, reason: string): PodState => ({
    initContainerStatuses: [{ name, state: { waiting: { reason } } }],
    containerStatuses: [{ name: 'relay', state: { waiting: { reason: 'PodInitializing' } } }],
  });
  const crashed = (name: string): PodState => ({
    initContainerStatuses: [
      {
        name,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
      },
    ],
  });
  const message = (state: PodState) => findTrouble(state)?.message;
  assert.match(
    message(beside('resolver', 'ErrImagePull')) ?? '',
    /^container resolver: ErrImagePull \(correct outbound\.resolver\.sidecar\.image, or/,
  );
  assert.match(
    message(crashed('resolver')) ?? '',
    /^container resolver: CrashLoopBackOff, OOMKilled: .*\(raise outbound\.resolver\.sidecar\.resources\.limits\.memory\)$/,
  );
  assert.match(
    message(crashed('istio-proxy')) ?? '',
    /^container istio-proxy: .*\(raise its limit of memory\)$/,
  );
  assert.equal(message(beside('resolver', 'PodInitializing')), undefined);
});

test('what others say is one line of a length that can be read', () => {
  const { message = '' } = findTrouble(waiting('ErrImagePull', `a\nb ${'x'.repeat(5_000)}`)) ?? {};
  assert.match(message, /^ErrImagePull: a b x+… \(correct/);
  assert.ok(message.length < 400);
});

test('a pod waits since its kubelet, or before that its scheduler, spoke last', () => {
  const at = (type: string, status: string, minutes: number) => ({
    type,
    status,
    lastTransitionTime: ago(minutes),
  });
  const since = (...conditions: object[]) => findNotReadySince({ conditions } as PodState);
  assert.equal(since(), undefined);
  assert.equal(since(at('PodScheduled', 'False', 5)), undefined);
  assert.equal(since(at('PodScheduled', 'True', 5)), NOW - 5 * 60_000);
  assert.equal(since(at('PodScheduled', 'True', 5), at('Ready', 'False', 2)), NOW - 2 * 60_000);
  assert.equal(since(at('PodScheduled', 'True', 5), at('Ready', 'True', 2)), undefined);
});

test('a relay has run if its container says so; an address and other containers prove nothing', () => {
  const container = (fields: object, name = 'relay'): PodState => ({
    phase: 'Pending',
    containerStatuses: [{ name, restartCount: 0, ...fields }],
  });
  const never: PodState[] = [
    {},
    { phase: 'Pending' },
    { phase: 'Failed', reason: 'OutOfcpu' },
    waiting('ImagePullBackOff'),
    container({ started: false }),
    container({ state: { running: {} } }, 'proxy'),
  ];
  for (const state of never) assert.equal(hasRun(state), false, JSON.stringify(state));
  const ever: PodState[] = [
    { phase: 'Running' },
    { phase: 'Succeeded' },
    running(0, 0),
    waiting('CrashLoopBackOff', '', {}),
    container({ state: { terminated: { exitCode: 1 } } }),
    container({ restartCount: 1 }),
    container({ started: true }),
  ];
  for (const state of ever) assert.equal(hasRun(state), true, JSON.stringify(state));
});
