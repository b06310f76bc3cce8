/** The checks of the DNS records: whether somebody takes them, and a key that rolls over. Pure. */
import { effectiveDns } from '#crds/effectivedns.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { findCertificateName } from '../records/certificates.ts';
import type { RollOverStep } from '../records/keyplan.ts';
import { findEarlyWord, publishesTlsa } from '../records/rollover.ts';
import { objectNames } from '../render/metadata.ts';
import type { World } from '../world.ts';
import { type Check, type Finding, is } from './finding.ts';
import { readIssue } from './issue.ts';
import { quoted } from './words.ts';

type Publishing = Extract<RollOverStep, { kind: 'publishing' }>;

export const externalDnsMissing: Check = ({ relay, absentKinds }) =>
  effectiveDns(relay.spec).endpointTypes.length > 0 && absentKinds.includes('DNSEndpoint')
    ? is(
        'False',
        'ExternalDNSMissing',
        'dns.publish is DNSEndpoint, and the cluster knows no such objects: install external-dns with its CRD, or publish status.dnsRecords yourself and set dns.publish: None',
      )
    : undefined;

/** The roll-over of a key that DNS publishes; a fault only where it waits for a person. */
export const keyRollsOver: Check = (world) => {
  const { keys } = world;
  if (!keys?.next) return undefined;
  const { secret, step } = keys.next;
  const text = `The certificate of Secret ${secret} is the next one; Secret ${keys.inService} is served`;
  switch (step.kind) {
    case 'issuing': {
      const issue = readIssue(world, findCertificateName(world, secret));
      const cause = issue && !issue.isReady ? `; cert-manager: ${quoted(issue.message)}` : '';
      const cure = `see that the Secret has a valid certificate of spec.hostname, or set tls.secretName back${cause}`;
      return is('True', 'KeyRollsOver', `${text} until every pod has the next one: ${cure}`);
    }
    case 'publishing':
      return awaitsProof(world, text, step);
    case 'waiting':
      return is(
        'True',
        'KeyRollsOver',
        `${text} until ${printTime(step.until)}, when no sender has records without the next key`,
      );
  }
};

function awaitsProof({ relay }: World, text: string, { digest, since, proof }: Publishing): Finding {
  const { name, namespace } = relay.metadata;
  const isByHand = !publishesTlsa(relay);
  const command = `kubectl annotate -n ${namespace} mailrelay ${name} --overwrite ${ANNOTATIONS.published}=${digest}@$(date -u +%Y-%m-%dT%H:%M:%SZ)`;
  const instead = `look yourself at what senders see, then run "${command}"`;
  const until = `${text} until DNS shows the records of both keys`;
  const early = findEarlyWord({ relay }, { digest, since });
  const ignored =
    early === undefined
      ? ''
      : `; the annotation ${ANNOTATIONS.published} of the MailRelay does not count: it says ${printTime(early)}, and the operator waits for this proof only since ${printTime(since)}`;
  switch (proof.kind) {
    case 'unwritten':
    case 'unasked':
      return is('True', 'KeyRollsOver', until + ignored);
    case 'proven': {
      const object = isByHand ? `ConfigMap/${objectNames.policy(name)}` : `DNSEndpoint/${name}`;
      const noted = `${text}: DNS shows the records of both keys, and the annotation ${ANNOTATIONS.published} of ${object} has to say since when`;
      return is('True', 'KeyRollsOver', `${noted}; if this stays, see what removes or refuses it`);
    }
    case 'lacking': {
      const cure = isByHand
        ? 'publish the TLSA records of status.dnsRecords'
        : 'see that external-dns runs, and that its provider takes TLSA';
      const lacks = `${until}, and ${proof.name} has no TLSA record ${proof.value}: ${cure}`;
      const split = `; where the operator gets other answers than senders, ${instead}`;
      return is(
        isByHand ? 'False' : 'True',
        isByHand ? 'KeyAwaitsPublishing' : 'KeyRollsOver',
        lacks + split + ignored,
      );
    }
    case 'failed': {
      const fault = `${until}, and the look-up of ${proof.name} fails: ${proof.why}`;
      const cure = 'let the pods of the operator reach a name server that resolves it';
      return is('Unknown', 'KeyAwaitsPublishing', `${fault}: ${cure}, or ${instead}${ignored}`);
    }
  }
}

function printTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
