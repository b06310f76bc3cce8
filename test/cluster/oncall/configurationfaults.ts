/** Faults of what a person wrote: fields, names, and the objects that fields name. */
import type { Fault } from './fault.ts';
import { INBOUND } from './site.ts';

export const CONFIGURATION_FAULTS: readonly Fault[] = [
  {
    name: 'misspelt',
    what: 'A misspelt field was dropped, so that nobody may send',
    isQuick: true,
    spec: { inbound: { starttls: 'Disabled', listeners: INBOUND.listeners, client: INBOUND.clients } },
    row: /ConfigurationSound/,
    command: 'wide',
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
    command: 'wide',
    shows: /Anybody may relay through listener smtp: 0.0.0.0\/0 .*: name the networks of your own clients/,
  },
  {
    name: 'no-address',
    what: 'The load balancer gives no address',
    isQuick: true,
    spec: { service: { type: 'LoadBalancer' } },
    row: /ConfigurationSound/,
    command: 'wide',
    shows: /Service\/no-address has no address from outside yet: see its events, .* another service.type/,
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
    spec: { className: 'nobody' },
    row: /^class-of-nobody +\d+s|^class-of-nobody/,
    command: 'wide',
    shows: /class-of-nobody .* 1 +-1 .*nobody/,
    means:
      'OBSERVED -1: no operator looks at it. Correct spec.className, or install an operator of that class.',
  },
];
