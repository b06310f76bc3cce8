/** Faults of what a person wrote: fields, names, Secrets and certificates. */
import type { Fault } from './fault.ts';
import { INBOUND } from './site.ts';

const TLS = { ...INBOUND, starttls: 'Enabled' };
const ownPair = (name: string) => ({ tls: { secretName: name }, inbound: TLS });
const issued = (name: string) => ({ tls: { issuerRef: { name } }, inbound: TLS });

export const CERTIFICATE_FAULTS: readonly Fault[] = [
  {
    name: 'no-secret',
    what: 'The Secret of the certificate does not exist',
    isQuick: true,
    spec: ownPair('no-secret'),
    row: /\/1 +CertificateMissing +Ready,Stalled,CertificateReady/,
    command: 'wide',
    shows: /Pod no-secret-0, Secret no-secret: .*does not exist.*/,
  },
  {
    name: 'no-issuer',
    what: 'The issuer does not exist',
    isQuick: true,
    spec: issued('nobody'),
    row: /\/1 +CertificateNotIssued +Ready,Stalled,CertificateReady/,
    command: 'wide',
    shows: /cert-manager has not issued the certificate: .*"nobody" not found/,
  },
];

export const CONFIGURATION_FAULTS: readonly Fault[] = [
  {
    name: 'misspelt',
    what: 'A misspelt field was dropped, so that nobody may send',
    isQuick: true,
    spec: { inbound: { starttls: 'Disabled', listeners: INBOUND.listeners, client: INBOUND.clients } },
    row: /ConfigurationSound/,
    command: 'describe',
    shows:
      /The listener takes mail from nobody: set inbound.clients.networks, .*check the names of the fields/,
  },
  {
    name: 'open',
    what: 'The whole world may relay',
    isQuick: true,
    spec: {
      inbound: { ...INBOUND, clients: { networks: ['0.0.0.0/0'] } },
      service: { type: 'NodePort' },
    },
    row: /ConfigurationSound/,
    command: 'describe',
    shows: /Anybody may relay through listener smtp: 0.0.0.0\/0 .*: name the networks of your own clients/,
  },
  {
    name: 'no-address',
    what: 'The load balancer gives no address',
    isQuick: true,
    spec: { service: { type: 'LoadBalancer' } },
    row: /ConfigurationSound/,
    command: 'describe',
    shows: /Service\/no-address has no address from outside yet: see its events/,
  },
  {
    name: 'taken',
    what: 'The name of the relay belongs to something else',
    isQuick: true,
    prepare: (site) =>
      site.apply({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'taken' },
        spec: { ports: [{ port: 80 }] },
      }),
    row: /NameTaken +Ready,Stalled/,
    command: 'wide',
    shows: /Service\/taken belongs to someone else: rename or remove it, or rename this MailRelay/,
  },
  {
    name: 'class-of-nobody',
    what: 'No operator has the class of the relay',
    isQuick: true,
    spec: { className: 'nobody' },
    row: /^class-of-nobody +\d+s|^class-of-nobody/,
    command: 'wide',
    shows: /class-of-nobody .* 1 +-1 .*nobody/,
  },
];
