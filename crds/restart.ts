/**
 * The restart contract: which change of the spec restarts which part. docs/restart-contract.md publishes it. The
 * supervisor of the relay (plan.ts) and the rendering of the StatefulSet obey it, and tests compare both with it. Pure
 * data.
 */
export type RestartEffect =
  | 'nothing'
  | 'listener task'
  | 'router task'
  | 'both tasks'
  | 'pods, one at a time'
  | 'refused';

export interface RestartRule {
  readonly field: string;
  readonly effect: RestartEffect;
  readonly gloss: string;
}

export const RESTART_CONTRACT = [
  {
    field: 'contents of the Secret in spec.tls.secretName',
    effect: 'nothing',
    gloss:
      'The next handshake uses the new pair; a pair that does not match is not taken, the last good one stays.',
  },
  {
    field: 'contents of any other Secret or ConfigMap that the spec names',
    effect: 'nothing',
    gloss:
      'The next login, signature or connection uses it: users, credentials, trust bundles, keys of an issuer, DKIM keys, tables of addresses.',
  },
  {
    field: 'spec.hostname',
    effect: 'both tasks',
    gloss: 'The name is in the banner and in EHLO. A Certificate that the operator owns is issued anew.',
  },
  {
    field: 'spec.inbound (all of it but the next three lines), spec.tls.minVersion',
    effect: 'listener task',
    gloss:
      'A new listener task takes over; sessions that are open end under the old policy, at the latest after five minutes.',
  },
  {
    field: 'spec.inbound.tlsReports, spec.inbound.feedbackReports',
    effect: 'both tasks',
    gloss: 'The listener takes the reports, and the router reads them.',
  },
  {
    field: 'spec.inbound.authenticationResults.arcSealDomain',
    effect: 'both tasks',
    gloss: 'The listener keeps what a seal says, and the router seals.',
  },
  {
    field: 'spec.inbound.listeners[]: allowFrom, nodePort',
    effect: 'nothing',
    gloss: 'The NetworkPolicy or the Service changes.',
  },
  {
    field: 'spec.outbound (all of it but the next line)',
    effect: 'router task',
    gloss:
      'Deliveries under way end, then a new router task takes the queue; the listener keeps accepting. In mode CutThrough the listener delivers, and restarts. With inbound.authenticationResults it restarts for another resolver.',
  },
  {
    field: 'spec.outbound.resolver.sidecar',
    effect: 'pods, one at a time',
    gloss:
      'The StatefulSet rolls, each pod is drained first. Where the sidecar is new, all pods ask the former resolver until each of them has it; but with level Dane, which that cannot prove, mail waits in pods that are not replaced yet.',
  },
  {
    field: 'spec.addresses, spec.headers',
    effect: 'listener task',
    gloss: 'As for spec.inbound. Mail that is in the queue stays as it came in.',
  },
  {
    field: 'spec.queue.expireAfter, spec.queue.delayWarningAfter',
    effect: 'router task',
    gloss: 'As for spec.outbound.',
  },
  {
    field: 'spec.queue.maxMessages, spec.queue.maxSize',
    effect: 'listener task',
    gloss: 'As for spec.inbound.',
  },
  {
    field: 'spec.queue.history, spec.queue.suppression',
    effect: 'both tasks',
    gloss:
      'The history begins, is kept for another time, or is deleted. Recipients that are suppressed stay so until their time is over.',
  },
  {
    field: 'spec.events',
    effect: 'both tasks',
    gloss:
      'The listener writes what it accepts, and the router sends. Events that wait go to the new receiver.',
  },
  {
    field: 'spec.logging',
    effect: 'both tasks',
    gloss:
      'The new tasks write their lines by it. A process that takes over a queue obeys when it begins again.',
  },
  {
    field: 'spec.trace',
    effect: 'both tasks',
    gloss: 'The trace begins with the sessions of the new tasks.',
  },
  {
    field: 'spec.service, spec.replicas',
    effect: 'nothing',
    gloss:
      'The Service, with its annotations, or the number of pods changes; the pods that stay are not touched. Those that leave hand their queues over first.',
  },
  {
    field: 'spec.serviceAccount, spec.networkPolicy, spec.podDisruptionBudget, spec.podMonitor',
    effect: 'nothing',
    gloss: 'The object of that name changes, comes or goes.',
  },
  {
    field: 'spec.dns',
    effect: 'nothing',
    gloss:
      'The records in the status change, and the DNSEndpoint. A policy that the pods serve changes with the next fetch, its port at once.',
  },
  {
    field: 'spec.tls: issuerRef, dnsNames, duration, renewBefore, privateKey',
    effect: 'nothing',
    gloss:
      'cert-manager issues anew, and the next handshake uses it. The same below spec.tls.certificates, and below spec.tls.internal but for dnsNames; there a certificate of another authority is used two minutes after the authority is published.',
  },
  {
    field: 'spec.tls.internal: clusterDomain, dnsNames',
    effect: 'listener task',
    gloss: 'As for spec.inbound; the certificate is issued anew.',
  },
  {
    field: 'spec.tls.certificates[]: hostnames (but for the first one of an entry with issuerRef)',
    effect: 'listener task',
    gloss: 'As for spec.inbound; the certificate of an issuer is issued anew.',
  },
  {
    field:
      'the name of any Secret or ConfigMap in the spec; tls.internal, an entry of tls.certificates, or dns.mtaSTS.serve, added or removed',
    effect: 'pods, one at a time',
    gloss:
      'Another name is another mount: the StatefulSet rolls, each pod is drained first. That of tls.secretName with dns.tlsa rolls it twice: see docs/dns-records.md.',
  },
  {
    field: 'spec.pod',
    effect: 'pods, one at a time',
    gloss:
      'The StatefulSet rolls, each pod is drained first. What the API server refuses of it is told in the status, and the pods run on as they are.',
  },
  {
    field: 'spec.queue.storage.size',
    effect: 'nothing',
    gloss:
      'The claims are patched and the StatefulSet is made anew around its running pods. What was never granted is taken back, as far as Kubernetes lets it; less than a volume has is refused in the status (StorageCannotShrink).',
  },
  {
    field: 'spec.queue.mode; spec.queue.storage.className',
    effect: 'refused',
    gloss: 'The API server answers with the way to move.',
  },
] as const satisfies readonly RestartRule[];

/** The lines of the contract with this effect. */
export type FieldsWith<Effect extends RestartEffect> = Extract<
  (typeof RESTART_CONTRACT)[number],
  { readonly effect: Effect }
>['field'];
