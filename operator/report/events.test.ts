/** The events of a relay whose world changes step by step: one for each cause, and none for a normal start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { Judged } from '../judge/finding.ts';
import type { PodTrouble } from '../judge/trouble.ts';
import { LABELS, type PodView, REFRESH } from '../world.ts';
import { listEvents } from './events.ts';
import { renderStatus } from './status.ts';

const relay = relayObject();
type Step = Partial<Judged> & { readonly isReplacing?: boolean };

/** The notes after each step, without the first, in which all is well. */
function tell(...steps: Step[]): string[][] {
  let status: MailRelayStatus | undefined;
  const told = [{}, ...steps].map(({ isReplacing, ...changes }: Step) => {
    const before = status;
    const known = { ...(changes.relay ?? relay), ...(before ? { status: before } : {}) };
    status = renderStatus({ obstacles: [], ...settledWorld(), ...changes, relay: known });
    return listEvents(before, status, isReplacing).map(
      ({ type, reason, note }) => `${type} ${reason}: ${note}`,
    );
  });
  return told.slice(1);
}

const withPods = (...pods: Partial<PodView>[]): Step => ({
  pods: [0, 1].map((n) => {
    const { report = podReport(relay), ...changes } = pods[n] ?? {};
    return podView(`relay-${n}`, report, changes);
  }),
});
const troubled = (reason: string, message = reason, isStuck = false): Step => {
  const trouble: PodTrouble = { reason, message, isStuck };
  return withPods({ ready: false, trouble });
};
const full = podReport(relay, { ready: false, notReady: ['the spool cannot be written: the disk is full'] });
const only = (told: readonly string[], words: RegExp) => {
  assert.equal(told.length, 1, told.join('\n'));
  assert.match(told[0] ?? '', words);
};

test('a pod that becomes unready by itself is one event, and the way back another', () => {
  const [lost = [], again = [], back = []] = tell(
    withPods({ ready: false, report: full }),
    withPods({ ready: false, report: full }),
    {},
  );
  only(lost, /^Warning PodsNotReady: 1 of 2 pods are ready; pod relay-0: the spool cannot be written/);
  assert.deepEqual(again, []);
  only(back, /^Normal Serving/);
});

test('a pod that goes away without a reason is an event too', () => {
  const [lost = []] = tell({ pods: [podView('relay-0', podReport(relay))] });
  only(lost, /^Warning PodsNotReady: 1 of 2 pods are ready$/);
});

test('pods that are started or replaced as wanted are none', () => {
  assert.deepEqual(tell({ ...withPods({ ready: false }), isReplacing: true }), [[]]);
  const edited = { ...relay, metadata: { ...relay.metadata, generation: 4 } };
  assert.deepEqual(tell({ ...withPods({ ready: false }), relay: edited }), [[]]);
});

test('a fault that keeps pods from being replaced is told all the same', () => {
  const [begins = [], hangs = []] = tell(
    { ...withPods({ ready: false }), isReplacing: true },
    { ...troubled('ImagePullBackOff', 'ImagePullBackOff: no such image', true), isReplacing: true },
  );
  assert.deepEqual(begins, []);
  only(hangs, /^Warning PodsNotReady: .*; pod relay-0: ImagePullBackOff/);
});

test('a second cause with the reason of the first is told', () => {
  const [first = [], second = [], third = []] = tell(
    troubled('Unschedulable', 'Unschedulable: 0/3 nodes'),
    troubled('Error', 'Error: it ended with status 1'),
    withPods({ ready: false, report: full }),
  );
  only(first, /Unschedulable: 0\/3 nodes/);
  only(second, /Error: it ended with status 1/);
  only(third, /the disk is full/);
});

test('one cause in other words, on another pod or with other numbers is not told again', () => {
  for (const [first, ...others] of [
    [
      troubled('Unschedulable', 'Unschedulable: 0/3 nodes'),
      troubled('Unschedulable', 'Unschedulable: 0/4 nodes'),
      withPods({ ready: false, trouble: { reason: 'U', message: 'Unschedulable: no', isStuck: false } }, {}),
    ],
    [
      troubled('ErrImagePull', 'ErrImagePull: no', true),
      troubled('ImagePullBackOff', 'ImagePullBackOff: back-off', true),
      troubled('ErrImagePull', 'container resolver: ErrImagePull: no', true),
    ],
    [
      troubled('Error', 'Error: it ended with status 1'),
      troubled('CrashLoopBackOff', 'CrashLoopBackOff: it ended with status 1', true),
      troubled('Error', 'Error: it ended with status 1'),
    ],
    [troubled('OOMKilled', 'OOMKilled: x'), troubled('', 'CrashLoopBackOff, OOMKilled: x', true)],
    [
      troubled('', 'RunContainerError: x', true),
      troubled('', 'StartError: it ended with status 128'),
      troubled('', 'CrashLoopBackOff, StartError: x', true),
    ],
    [troubled('', 'DeadlineExceeded: x'), troubled('', 'CrashLoopBackOff, DeadlineExceeded: x', true)],
  ] as const) {
    const [told = [], ...rest] = tell(first, ...others);
    only(told, /^Warning PodsNotReady/);
    assert.deepEqual(
      rest,
      others.map(() => []),
    );
  }
});

test('a fault that shows in several conditions is one event', () => {
  const unserved = {
    certificate: null,
    certificateProblem: { reason: 'CertificateMissing', message: 'the Secret is empty' },
  };
  const report = podReport(relay, unserved);
  const [told = []] = tell(withPods({ report }, { report }));
  only(told, /^Warning CertificateMissing/);
  const [silent = []] = tell({
    pods: [0, 1].map((n) => podView(`relay-${n}`, undefined)),
    relay: { ...relay, metadata: { ...relay.metadata, generation: 4 } },
  });
  only(silent, /^Warning PodsUnreachable/);
});

test('another object that is refused, and another reference that is missing, are told', () => {
  const denied = (object: string): Step => ({ obstacles: [{ kind: 'denied', object, message: 'quota' }] });
  const [one = [], same = [], other = []] = tell(
    denied('Service/relay'),
    { obstacles: [{ kind: 'denied', object: 'Service/relay', message: 'quota: 2 of 2' }] },
    denied('ConfigMap/relay-policy'),
  );
  only(one, /Denied: .*Service\/relay/);
  assert.deepEqual(same, []);
  only(other, /Denied: .*ConfigMap\/relay-policy/);
  const extra = (object: string): Step => ({ obstacles: [{ kind: 'denied', object, message: 'quota' }] });
  const [monitor = [], again = [], budget = []] = tell(
    extra('PodMonitor/relay'),
    { obstacles: [{ kind: 'nameTaken', object: 'PodMonitor/relay' }] },
    extra('PodDisruptionBudget/relay'),
  );
  only(monitor, /ExtraRefused: .*PodMonitor\/relay/);
  assert.deepEqual(again, []);
  only(budget, /ExtraRefused: .*PodDisruptionBudget\/relay/);
  const pods = [0, 1, 2].map((ordinal) => extra(`${REFRESH}Pod/relay-${ordinal}`));
  const [first = [], ...others] = tell(...pods, extra(`${LABELS}Pod/relay-2`));
  only(first, /ExtraRefused: .*the refresh of Pod\/relay-0/);
  assert.deepEqual(others.slice(0, 2), [[], []]);
  only(others.at(-1) ?? [], /ExtraRefused: .*the labelling of Pod\/relay-2/);
  const missing = (field: string) =>
    withPods({ report: podReport(relay, { missing: [`${field}: Secret "x" does not exist`] }) });
  const [users = [], login = []] = tell(missing('inbound.users'), missing('outbound.smartHosts[0].login'));
  only(users, /ReferenceMissing: .*spec\.inbound\.users/);
  only(login, /ReferenceMissing: .*spec\.outbound\.smartHosts\[0\]\.login/);
});

test('a second certificate with a fault of the first one is told, and the first one in other words is not', () => {
  const issuerRef = { name: 'ca' };
  const both = relayObject({ tls: { secretName: 'host', internal: { secretName: 'inside', issuerRef } } });
  const faults = (host: string | null, internal: string | null): Step => {
    const problem = (message: string | null) => message && { reason: 'KeyMismatch', message };
    const report = podReport(both, {
      certificateProblem: problem(host) || null,
      internalCertificateProblem: problem(internal) || null,
    });
    return {
      relay: both,
      policy: effectivePolicy(both.metadata, both.spec),
      pods: [0, 1].map((n) => podView(`relay-${n}`, report)),
    };
  };
  const [, first = [], same = [], second = []] = tell(
    faults(null, null),
    faults('no', null),
    faults('no, since noon', 'no'),
    faults(null, 'no'),
  );
  only(first, /^Warning KeyMismatch: Pod relay-0, Secret host: no/);
  assert.deepEqual(same, []);
  only(second, /^Warning KeyMismatch: Pod relay-0, Secret inside: no/);
});
