/**
 * The specification of the conditions: for each type its checks in order of precedence; the first that finds something
 * decides. A type whose checks find nothing is absent. Pure.
 */
import type { ConditionType } from '#crds/conditions.ts';
import * as anew from './anew.ts';
import * as certificate from './certificate.ts';
import * as check from './checks.ts';
import type { Check, Finding, Judged } from './finding.ts';
import * as scaling from './scaling.ts';
import * as storage from './storage.ts';

const STALLED: readonly Check[] = [
  check.specInvalid, // stored before a rule existed, or by a newer operator
  anew.otherInstallation, // an object of our name is another operator's
  check.nameTaken, // an object of our name is not ours
  storage.storageShrinks, // less than the volumes have
  check.denied, // admission, quota or RBAC
  certificate.certManagerMissing, // an issuer is named and nobody is there to ask
  check.policyRefusedByPods, // the relay could not bring it up
  certificate.certificateStalled, // no pair is served, and none will come by itself
];

const RECONCILING: readonly Check[] = [
  check.writeFailed, // an admission webhook that is down, most often
  anew.makingAnew, // something of that name goes first
  check.rolloutWaits, // other relays first
  scaling.scaleInWaits, // a pod leaves and its queue does not
  scaling.scalingIn, // pods leave
  check.rollingOut, // pods are started or replaced
  check.policyChanging, // pods run and do not report the wanted policy
];

const CERTIFICATE: readonly Check[] = [
  certificate.certificateFault, // nothing mounted, or not as it should be; cert-manager's word beside it
  certificate.certificateUpdating, // pods disagree, or have not said
  certificate.certificateServed,
];

const POLICY: readonly Check[] = [check.policyRefused, check.policyPending, check.policyInForce];

const QUEUE: readonly Check[] = [
  check.loginRefused, // a next hop refuses our login
  check.mailHeld, // waits for a person
  check.mailWaiting, // older than an hour
  check.queueMoving,
];

const SOUND: readonly Check[] = [
  check.referenceMissing, // a Secret or ConfigMap that the spec names
  check.addressMayBeNode, // client networks behind a Service that hides clients
  check.acceptedDomainReturns, // accepted, and without a route
  check.nobodyCanLogIn, // users, and no listener for them
  check.extraRefused, // an object that mail does not need
  check.nothingToNote,
];

const READY: readonly Check[] = [
  check.podsNotReady,
  anew.withoutStatefulSet, // pods that run are not replaced
  check.scaledToZero, // as wanted, though no mail flows
  check.policyNotYet, // ready means: as the spec says
  check.serving,
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
