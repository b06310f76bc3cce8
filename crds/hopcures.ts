/** The cure for mail that cannot be delivered, by the cause of the failure and its words. Pure. */
import type { FailureCause } from './failure.ts';
import { CHECK_SECRET } from './loginproblems.ts';

export const HOP_CURES: Readonly<Record<FailureCause, string>> = {
  dns: 'correct the name, or mend the name server of the pods',
  connect: 'see that the host runs, and that the network lets the pods reach its port',
  greeting: 'see the log of the host, or ask its operator',
  'starttls-missing': 'let the host offer STARTTLS, or lower tls.level for it',
  handshake: 'let both sides share a TLS version and a cipher, see tls.minVersion',
  'certificate-host-mismatch':
    'renew the certificate of the host, or set tls.serverName to a name that it has',
  'certificate-expired': 'renew the certificate of the host',
  'certificate-untrusted': 'add its authority to the ConfigMap of tls.trustConfigMapName',
  'tlsa-invalid': 'the operator of the host must correct its TLSA records',
  'dnssec-invalid': 'the operator of the domain must mend its DNSSEC',
  'dane-required': 'lower tls.level, or let the host publish TLSA records',
  'sts-policy-fetch-error': 'the operator of the domain must mend its MTA-STS policy',
  'sts-policy-invalid': 'the operator of the domain must correct its MTA-STS policy',
  'sts-webpki-invalid': 'the operator of the domain must renew the certificate of its MTA-STS host',
  'sts-mx-mismatch': 'the operator of the domain must name its MX hosts in its MTA-STS policy',
  requiretls:
    'let the host offer REQUIRETLS, a TLS version that tls.minVersion allows and a certificate of its name, or send without REQUIRETLS',
  login: 'correct the Secret that credentialsSecretName names for it',
  policy: 'change what the message names',
  reply: 'wait where it asks for that, or ask the operator of the host',
  local: 'mend what the message names',
};

const NOT_YET = /not (valid yet|yet valid)/;
const CLOCKS = 'check the clocks of the host and of the nodes';

/** Where one cause has several cures, the words of the failure tell which. Undefined: they have the cure themselves. */
const BY_WORDS: readonly (readonly [cause: FailureCause, words: RegExp, cure: string | undefined])[] = [
  ['certificate-expired', NOT_YET, CLOCKS],
  ['sts-webpki-invalid', NOT_YET, CLOCKS],
  [
    'handshake',
    /our certificate is refused/,
    'let the host trust the authority of our certificate, or set clientCertificateSecretName for it and correct that Secret',
  ],
  ['handshake', /no TLS in the answer/, 'see what answers in place of TLS at that port of the host'],
  // A known code of a provider, or a proxy on the way: another Secret, or none, is to be corrected.
  ['login', new RegExp(`refuses our login[^:]*: (?!${CHECK_SECRET}$)`), undefined],
];

/** Undefined if the message ends with its own cure. */
export function findHopCure(cause: FailureCause, message: string): string | undefined {
  // Of several failures that were joined, the first one gives the cause.
  const [first = ''] = message.split('; ', 1);
  const known = BY_WORDS.find(([of, words]) => of === cause && words.test(first));
  return known ? known[2] : HOP_CURES[cause];
}
