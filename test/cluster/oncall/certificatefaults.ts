/** Faults of the certificate that a relay serves: of its Secret, and of the issuer that fills it. */
import type { Fault } from './fault.ts';
import { TLS_INBOUND } from './site.ts';

const ownPair = (name: string) => ({ tls: { secretName: name }, inbound: TLS_INBOUND });
const issued = (name: string) => ({ tls: { issuerRef: { name } }, inbound: TLS_INBOUND });

export const CERTIFICATE_FAULTS: readonly Fault[] = [
  {
    name: 'no-secret',
    what: 'The Secret of the certificate does not exist',
    isQuick: true,
    spec: ownPair('no-secret'),
    row: /\/1 +CertificateMissing +Ready,Stalled,CertificateReady/,
    command: 'wide',
    shows: /Pod no-secret-0, Secret no-secret: .*does not exist.*: create it, of type kubernetes.io\/tls/,
  },
  {
    name: 'no-issuer',
    what: 'The issuer does not exist',
    isQuick: true,
    spec: issued('nobody'),
    row: /\/1 +CertificateNotIssued +Ready,Stalled,CertificateReady/,
    command: 'wide',
    shows:
      /cert-manager has not issued the certificate: .*"nobody" not found: create Issuer nobody, or correct tls.issuerRef/,
  },
];
