/** The reasons of ConfigurationSound. Part of conditions.ts. Pure data. */
export const SOUND_REASONS = {
  OpenRelay: {
    type: 'ConfigurationSound',
    cause:
      'The Service is reached from outside, and clients.networks has together more public addresses than anybody has clients, or proxyProtocol.networks has, so that anybody may claim an address: anybody may relay.',
    cure: 'Name the networks of your own clients and proxies, or use logins.',
  },
  NobodyMaySend: {
    type: 'ConfigurationSound',
    cause:
      'No listener takes mail from anybody, but for reports: no networks, no logins, no certificates, no acceptDomains.',
    cure: 'Set one of them. A field that is misspelt is dropped without a word by "kubectl apply --validate=false".',
  },
  StoredBeforeRule: {
    type: 'ConfigurationSound',
    cause:
      'The spec breaks a rule of this version, and was stored before the rule existed. It works on; the API server refuses only a change of that field that does not mend it.',
    cure: 'Change the field that the message names.',
  },
  LoadBalancerPending: {
    type: 'ConfigurationSound',
    cause: 'service.type is LoadBalancer, and the Service has no address from outside yet.',
    cure: 'Follow the cure after the words of the load balancer; without any, see whether the cluster has load balancers, or choose another service.type.',
  },
  SecretHeldBack: {
    type: 'ConfigurationSound',
    cause:
      'A next hop refuses the new contents of a Secret (the login or the client certificate for it), or no connection could use them, so the old ones stay in use. They are tried again, and are taken at once when the hop refuses the old ones.',
    cure: 'Correct the Secret, or let the hop know the new login or certificate. The message has the code and the status of the hop, or what is wrong with the contents.',
  },
  ReferenceMissing: {
    type: 'ConfigurationSound',
    cause:
      'A Secret or ConfigMap that the spec names is missing, or cannot be used, or has users that cannot be read.',
    cure: 'The message names it, the field, and what does not work until it is there.',
  },
  PlaintextClientsRefused: {
    type: 'ConfigurationSound',
    cause:
      'The STARTTLS policy Required refused clients in the last seven days whose mail was taken in plain text in the week before.',
    cure: 'Let these clients use STARTTLS, or give their networks starttls: Enabled in inbound.clientPolicies. It ends by itself seven days after the last of them was refused.',
  },
  PlaintextClientsSeen: {
    type: 'ConfigurationSound',
    cause:
      'Clients sent in plain text in the last seven days, as the STARTTLS policy Enabled allows. This is no fault: Required would refuse them.',
    cure: 'Nothing to do. Let these clients use STARTTLS before you set Required; "mailrelay status" lists them.',
  },
  AddressMayBeNode: {
    type: 'ConfigurationSound',
    cause:
      'Client networks are set, but with externalTrafficPolicy: Cluster the relay may see the address of a node instead of that of the client.',
    cure: 'Set service.externalTrafficPolicy: Local, or proxyProtocol on the listeners.',
  },
  AcceptedDomainReturns: {
    type: 'ConfigurationSound',
    cause:
      'An accepted domain has no route, or only for some senders, so that a smart host gets its mail, and would send it back.',
    cure: 'Add a route for the domain that the message names, without senders.',
  },
  NobodyCanLogIn: {
    type: 'ConfigurationSound',
    cause: 'There are users or tokens for logins, but no listener that has them has auth.',
    cure: 'Set auth: Optional or Required on a listener, or remove credentialsSecretName and oauth.',
  },
  ExternalDNSMissing: {
    type: 'ConfigurationSound',
    cause:
      'dns.publish is DNSEndpoint, and the cluster knows no such objects: nobody brings the records of status.dnsRecords into DNS.',
    cure: 'Install external-dns with its CRD; it is found within ten minutes. Or publish the records yourself, and set dns.publish: None.',
  },
  CertManagerUnlisted: {
    type: 'ConfigurationSound',
    cause:
      'The spec names an issuer, and the API server does not list Certificates or CertificateRequests: a role is missing, or their CRDs are broken. Mail flows with the Secrets that are there. Such objects are neither made nor changed nor deleted; Reconciling too where they are Certificates.',
    cure: 'The message names the kind and quotes the API server; mend what it names. It is tried again by itself, after half a minute at the latest.',
  },
  DNSEndpointsNotWatched: {
    type: 'ConfigurationSound',
    cause:
      'dns.publish is DNSEndpoint, and the API server does not let the operator watch DNSEndpoints any more: a role is missing. Mail flows. The operator reads the DNSEndpoint of the relay every half minute instead; where it may not read it either, the DNSEndpoint stays as it is.',
    cure: 'Restore the roles of the operator; the message quotes the API server. It is tried again by itself, after half a minute at the latest.',
  },
  KeyRollsOver: {
    type: 'ConfigurationSound',
    cause:
      'tls.secretName has changed while dns.tlsa publishes the key. This is no fault: the next certificate is served when two times to live have passed since DNS showed the records of both keys.',
    cure: 'Wait; the message says for what, and what to do if it does not come.',
  },
  KeyAwaitsPublishing: {
    type: 'ConfigurationSound',
    cause:
      'The same, and a person is needed: DNS lacks TLSA records that you publish (False), or the operator cannot look them up (Unknown).',
    cure: 'Publish the TLSA records of status.dnsRecords; the operator looks every half minute. If it cannot see what senders see, look yourself, and run the command of the message.',
  },
  ExtraRefused: {
    type: 'ConfigurationSound',
    cause:
      'An object that mail flows without cannot be written: the DNSEndpoint, the PodMonitor, the PodDisruptionBudget, the NetworkPolicy, the ConfigMap with the authority of tls.internal, the annotation that makes kubelets refresh mounted files at once, or labels of a pod or a claim that somebody took away.',
    cure: 'The message quotes the API server, and says what is different without the object.',
  },
  StorageRequestStands: {
    type: 'ConfigurationSound',
    cause:
      'queue.storage.size was set to more than could be granted, and then back. A claim still asks for it, because Kubernetes lowers a request only to more than the volume has. Mail flows.',
    cure: 'Set queue.storage.size to a little more than the volume has; the message names it. Or let it be, if the volume may still grow.',
  },
  FilterFailing: {
    type: 'ConfigurationSound',
    cause:
      'The content filter of inbound.filter judges no message: it cannot be reached, is too slow, or gives an answer that the relay cannot read. By onFailure mail waits at its clients (451), or is taken unfiltered.',
    cure: 'Mend the filter, or inbound.filter and its Secret: the message has the reason. It ends with the next message that the filter judges.',
  },
  HistoryNotWritten: {
    type: 'ConfigurationSound',
    cause:
      'The delivery history of queue.history could not be written at some time in the last hour, most often because its volume is full, read-only or broken. Mail flows all the same, and "mailrelay find" does not know all of it.',
    cure: 'Mend or enlarge the volume of the queue: the message has the reason. What was not written does not come back.',
  },
  NothingToNote: { type: 'ConfigurationSound', cause: 'Nothing was found.', cure: 'Nothing to do.' },
  EventsNotTaken: {
    type: 'ConfigurationSound',
    cause:
      'The receiver of events.webhook takes no events, or has taken so few that some were dropped in the last hour, or refuses some for good. Mail flows all the same.',
    cure: 'Mend the receiver, or events.webhook and its Secret: the message has the answer. What waits is sent then.',
  },
} as const;
