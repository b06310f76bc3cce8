/**
 * The specification of the conditions: for each type its checks in order of precedence. The first check with a finding
 * decides. A type without a finding is absent. Pure.
 */
import type { ConditionType } from '#crds/conditions.ts';
import * as anew from './anew.ts';
import * as certificate from './certificate.ts';
import * as check from './checks.ts';
import * as dnsrecords from './dnsrecords.ts';
import { extraRefused, isNeeded } from './extras.ts';
import type { Check, Finding, Judged } from './finding.ts';
import { openRelay } from './openrelay.ts';
import * as plaintext from './plaintext.ts';
import * as pods from './pods.ts';
import * as queue from './queue.ts';
import * as refusals from './refusals.ts';
import * as scaling from './scaling.ts';
import * as sidecar from './sidecar.ts';
import * as sound from './soundness.ts';
import * as storage from './storage.ts';
import * as unlisted from './unlisted.ts';
import * as unseen from './unseenqueues.ts';

const STALLED: readonly Check[] = [
  check.specInvalid, // stored before a rule existed, or by a newer operator
  anew.otherInstallation, // an object of our name belongs to another operator
  check.nameTaken, // an object of our name belongs to someone else
  check.secretTaken, // another Certificate fills the Secret
  storage.storageShrinks, // the new size is smaller than a volume
  check.denied, // admission, quota or RBAC
  pods.podsStuck, // an image that cannot be pulled, a quota, repeated crashes
  certificate.certManagerMissing, // the spec names an issuer, and the cluster has no cert-manager
  refusals.policyRefusedForGood, // a relay could not start the policy, and its pod stays
  certificate.certificateStalled, // no pair is served, and none will come without a person
];

const RECONCILING: readonly Check[] = [
  check.writeFailed, // most often an admission webhook is down
  anew.makingAnew, // an old object of the name must go first
  unlisted.certificatesUnlisted, // whether the Certificates are as wanted is not known
  refusals.rolloutWaits, // other relays are replaced first
  pods.rolloutHeldUp, // a pod that leaves is not ready
  scaling.scaleInWaits, // a pod leaves, and its queue cannot
  scaling.scalingIn, // pods leave
  pods.podsWait, // most often for room on a node
  refusals.policyRefusedForNow, // by pods of the older version, until they are replaced
  pods.rollingOut, // pods are started or replaced
  sidecar.sidecarComing, // pods without the sidecar are replaced first
  pods.policyChanging, // pods run and do not report the wanted policy
];

const CERTIFICATE: readonly Check[] = [
  certificate.certificateFault, // no pair is mounted, or it has a fault; the message quotes cert-manager
  certificate.certificateEnded, // expired by the clock of the API server
  certificate.certificateUpdating, // pods serve different certificates, or have not reported
  certificate.certificateServed,
];

const POLICY: readonly Check[] = [
  refusals.policyRefused,
  pods.policyUnseen, // pods are ready and do not answer
  check.policyPending,
  sidecar.sidecarAwaited, // the former resolver is asked until each pod has the sidecar
  check.policyInForce,
];

const QUEUE: readonly Check[] = [
  storage.claimLost, // mail will be lost with the next end of a pod, whose volume is gone
  storage.claimDeleted, // mail will be lost with the next end of a pod
  queue.queueFull, // clients are turned away
  queue.loginRefused, // a next hop refuses our login
  queue.mailStuck, // nothing goes out to a hop of the spec
  queue.mailHeld, // mail waits for a person
  queue.mailWaiting, // mail is older than an hour
  unseen.queueUnseen, // a pod that may have mail does not report
  queue.queueMoving,
];

const SOUND: readonly Check[] = [
  openRelay, // anybody may relay
  sound.referenceMissing, // a Secret or ConfigMap of the spec is missing
  queue.secretHeldBack, // a next hop refuses the new contents of a Secret
  queue.filterFailing, // mail waits at its clients, or is taken unfiltered
  queue.eventsNotTaken, // nobody hears what becomes of mail
  queue.historyNotWritten, // nobody can look up what became of some mail
  plaintext.plaintextClientsRefused, // Required refuses clients that Enabled accepted
  sound.addressMayBeNode, // client networks behind a Service that hides client addresses
  sound.acceptedDomainReturns, // an accepted domain has no route
  sound.nobodyCanLogIn, // there are users, and no listener has auth
  sound.nobodyMaySend, // for example because a field was dropped
  dnsrecords.externalDnsMissing, // nobody takes the DNS records
  unlisted.certManagerUnlisted, // what cert-manager does is not seen
  unlisted.dnsEndpointsNotWatched, // nor, for half a minute, what others do to the DNSEndpoint
  storage.storageRequestStands, // a claim asks for more than the spec, in vain
  extraRefused, // an object that mail does not need cannot be written
  sound.storedBeforeRule, // a new object of this kind would be refused
  sound.loadBalancerPending, // the Service has no address outside the cluster
  dnsrecords.keyRollsOver, // a person has to publish or look up records; otherwise no fault
  plaintext.plaintextClientsSeen, // no fault: clients that Required would refuse
  sound.nothingToNote,
];

const READY: readonly Check[] = [
  pods.podsNotReady,
  anew.withoutStatefulSet, // a pod that ends is not replaced
  pods.scaledToZero, // as wanted, although no mail flows
  pods.servesUnseen, // pods that were seen to serve this generation do not answer now
  sidecar.sidecarAwaited, // the policy is not the wanted one yet
  check.policyNotYet, // Ready also needs the wanted policy
  pods.serving,
];

/** The verdicts about a world, by condition type. A type that is absent has no entry. */
export function judge(world: Judged): Partial<Record<ConditionType, Finding>> {
  const needed = { ...world, obstacles: world.obstacles.filter((one) => isNeeded(one, world.relay)) };
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
