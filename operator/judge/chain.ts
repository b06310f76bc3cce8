/**
 * The specification of the conditions: for each type its checks in order of precedence; the first that finds something
 * decides. A type whose checks find nothing is absent. Pure.
 */
import type { ConditionType } from '#crds/conditions.ts';
import * as anew from './anew.ts';
import * as certificate from './certificate.ts';
import * as check from './checks.ts';
import type { Check, Finding, Judged } from './finding.ts';
import * as plaintext from './plaintext.ts';
import * as pods from './pods.ts';
import * as queue from './queue.ts';
import * as scaling from './scaling.ts';
import * as sound from './soundness.ts';
import * as storage from './storage.ts';

const STALLED: readonly Check[] = [
  check.specInvalid, // stored before a rule existed, or by a newer operator
  anew.otherInstallation, // an object of our name is another operator's
  check.nameTaken, // an object of our name is not ours
  check.secretTaken, // a Secret that another Certificate fills
  storage.storageShrinks, // less than the volumes have
  check.denied, // admission, quota or RBAC
  pods.podsStuck, // an image that cannot be pulled, a quota, a crash again and again
  certificate.certManagerMissing, // an issuer is named and nobody is there to ask
  check.policyRefusedByPods, // the relay could not bring it up
  certificate.certificateStalled, // no pair is served, and none will come by itself
];

const RECONCILING: readonly Check[] = [
  check.writeFailed, // an admission webhook that is down, most often
  anew.makingAnew, // something of that name goes first
  check.rolloutWaits, // other relays first
  pods.rolloutHeldUp, // by a pod that leaves and is not ready
  scaling.scaleInWaits, // a pod leaves and its queue does not
  scaling.scalingIn, // pods leave
  pods.podsWait, // for room, most often
  pods.rollingOut, // pods are started or replaced
  pods.policyChanging, // pods run and do not report the wanted policy
];

const CERTIFICATE: readonly Check[] = [
  certificate.certificateFault, // nothing mounted, or not as it should be; cert-manager's word beside it
  certificate.certificateEnded, // by the clock of the operator
  certificate.certificateUpdating, // pods disagree, or have not said
  certificate.certificateServed,
];

const POLICY: readonly Check[] = [
  check.policyRefused,
  pods.policyUnseen, // ready, and without an answer
  check.policyPending,
  check.policyInForce,
];

const QUEUE: readonly Check[] = [
  queue.queueFull, // clients are turned away
  queue.loginRefused, // a next hop refuses our login
  queue.mailStuck, // nothing goes out to a hop of the spec
  queue.mailHeld, // waits for a person
  queue.mailWaiting, // older than an hour
  pods.queueUnseen, // nobody has said anything
  queue.queueMoving,
];

const SOUND: readonly Check[] = [
  sound.openRelay, // the world may send
  sound.referenceMissing, // a Secret or ConfigMap that the spec names
  plaintext.plaintextClientsRefused, // Required turns away whom Enabled let in
  sound.addressMayBeNode, // client networks behind a Service that hides clients
  sound.acceptedDomainReturns, // accepted, and without a route
  sound.nobodyCanLogIn, // users, and no listener for them
  sound.nobodyMaySend, // as where a field was dropped
  check.extraRefused, // an object that mail does not need
  sound.loadBalancerPending, // reached from inside alone
  plaintext.plaintextClientsSeen, // no fault: whom Required would turn away
  sound.nothingToNote,
];

const READY: readonly Check[] = [
  pods.podsNotReady,
  anew.withoutStatefulSet, // pods that run are not replaced
  pods.scaledToZero, // as wanted, though no mail flows
  pods.servesUnseen, // what was seen in force goes on
  check.policyNotYet, // ready means: as the spec says
  pods.serving,
];

/** The verdicts of one moment, by condition type; absent types are not in it. */
export function judge(world: Judged): Partial<Record<ConditionType, Finding>> {
  const needed = { ...world, obstacles: world.obstacles.filter(check.isNeeded) };
  const stalled = first(STALLED, needed);
  const ready = stalled ? { ...stalled, status: 'False' as const } : first(READY, world);
  const reconciling = stalled ? undefined : first(RECONCILING, needed);
  const pairs = certificate.wantsCertificate(world) ? first(CERTIFICATE, world) : undefined;
  return {
    ...(ready ? { Ready: ready } : {}),
    ...(reconciling ? { Reconciling: reconciling } : {}),
    ...(stalled ? { Stalled: stalled } : {}),
    ...(pairs ? { CertificateReady: pairs } : {}),
    PolicyApplied: first(POLICY, world) as Finding,
    QueueHealthy: first(QUEUE, world) as Finding,
    ConfigurationSound: first(SOUND, world) as Finding,
  };
}

function first(checks: readonly Check[], world: Judged): Finding | undefined {
  for (const look of checks) {
    const finding = look(world);
    if (finding) return finding;
  }
  return undefined;
}
