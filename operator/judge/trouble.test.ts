/** The reason of Kubernetes for a pod that does not run, as a sentence; and whether waiting helps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findTrouble, type PodState } from './trouble.ts';

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

/** It runs, and ended before. */
const running = (restartCount: number, exitCode: number): PodState => ({
  containerStatuses: [
    { name: 'relay', restartCount, state: {}, lastState: { terminated: { exitCode, reason: 'Error' } } },
  ],
});

const TABLE: readonly [string, PodState, RegExp | undefined, boolean][] = [
  ['nothing', {}, undefined, false],
  ['a step on the way', waiting('ContainerCreating'), undefined, false],
  [
    'no node',
    unscheduled('0/3 nodes: insufficient cpu'),
    /^Unschedulable: 0\/3 nodes: insufficient cpu \(make room/,
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
  ['a fault that is new to us', waiting('BrandNewError', 'so it is'), /^BrandNewError: so it is$/, true],
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
  ['a crash without a word', waiting('CrashLoopBackOff'), /^CrashLoopBackOff$/, true],
  [
    'an end just now',
    { containerStatuses: [{ name: 'relay', state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }] },
    /^OOMKilled: it ended with status 137 \(raise/,
    false,
  ],
  [
    'the second crash, while it runs again',
    running(2, 1),
    /^CrashLoopBackOff: it ended with status 1$/,
    true,
  ],
  ['the first one', running(1, 255), /^Error: it ended with status 255$/, false],
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
