/** The checks of the DNS records: whether somebody takes them, and a key that rolls over. Pure. */
import { effectiveDns } from '#crds/effectivedns.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { findCertificateName } from '../records/certificates.ts';
import { publishesTlsa } from '../records/rollover.ts';
import { type Check, is } from './finding.ts';
import { readIssue } from './issue.ts';
import { quoted } from './words.ts';

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
  const { relay, keys } = world;
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
    case 'publishing': {
      if (publishesTlsa(relay))
        return is(
          'True',
          'KeyRollsOver',
          `${text} until external-dns has taken the records of both keys: see that it runs`,
        );
      const { name, namespace } = relay.metadata;
      const command = `kubectl annotate -n ${namespace} mailrelay ${name} --overwrite ${ANNOTATIONS.published}=${step.digest}@$(date -u +%Y-%m-%dT%H:%M:%SZ)`;
      return is(
        'False',
        'KeyAwaitsPublishing',
        `${text} until you say that the records of both keys are in DNS: publish the TLSA records of status.dnsRecords, then run "${command}"`,
      );
    }
    case 'waiting':
      return is(
        'True',
        'KeyRollsOver',
        `${text} until ${new Date(step.until).toISOString().slice(0, 19)}Z, when no sender has records without the next key`,
      );
  }
};
