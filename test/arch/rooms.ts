/**
 * The dependency law: which rooms and packages each room may import, and why. A file belongs to the first room whose
 * pattern matches. Packages and Node's modules are named, and `node:*` means all modules of Node. Files of the same room
 * may always import each other.
 */
export interface Room {
  readonly name: string;
  readonly files: RegExp;
  /** Other rooms. */
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
  /** The files of this room that other rooms may import. Absent: all files. */
  readonly entries?: readonly string[];
  /** A pure room uses no clock, disk, network, environment or randomness of its own. */
  readonly pure?: boolean;
  readonly why: string;
}

export const ROOMS: readonly Room[] = [
  {
    name: 'tests',
    files: /\.test\.ts$|^test\//,
    rooms: [
      'contract',
      'password',
      'generators',
      'operator pure',
      'operator',
      'operator kube',
      'relay task',
      'relay observe',
      'relay spool',
      'relay headers',
      'relay auth',
      'relay dkim',
      'relay dns',
      'relay mtasts',
      'relay tlsrpt',
      'relay delivery',
      'relay dsn',
      'relay queue',
      'relay router',
      'relay listener',
      'relay handover',
      'relay supervisor',
      'cli',
    ],
    packages: ['node:*', '*'],
    why: 'tests may import everything; no other room imports a test',
  },
  {
    name: 'generators',
    files: /^(crds|operator)\/generate\.ts$/,
    rooms: ['contract', 'operator kube'],
    packages: ['node:fs', 'yaml'],
    why: 'generators write files and are not part of any program',
  },
  {
    name: 'password',
    files: /^crds\/passwordhash\.ts$/,
    rooms: [],
    packages: ['node:crypto', 'node:util'],
    why: 'the command writes password hashes and the relay checks them, in one form; the salt is random, so the room is not pure',
  },
  {
    name: 'contract',
    files: /^crds\//,
    rooms: [],
    packages: ['zod', 'node:crypto', 'node:net', 'node:tls'],
    pure: true,
    why: 'operator and relay share the contract, and their versions may differ',
  },
  {
    name: 'operator kube',
    files: /^operator\/kube\//,
    rooms: ['contract', 'operator pure'],
    packages: ['@kubernetes/client-node', 'undici', 'node:*'],
    why: 'only this room speaks to the API server, so tests can replace it',
  },
  {
    name: 'operator pure',
    files: /^operator\/(judge|records|render|report)\/|^operator\/(world|compare)\.ts$/,
    rooms: ['contract', 'operator kube'],
    packages: [],
    pure: true,
    why: 'decisions, wanted objects and reports are tested without a cluster (they use only types of operator kube)',
  },
  {
    name: 'operator',
    files: /^operator\//,
    rooms: ['contract', 'operator pure', 'operator kube'],
    packages: ['undici', 'prom-client', 'node:*'],
    why: 'orchestration may import all rooms of the operator, but never the relay, because their versions may differ',
  },
  {
    name: 'relay task',
    files: /^relay\/task\//,
    rooms: ['contract'],
    packages: ['node:*'],
    why: 'every process of a relay uses these parts; they know nothing of mail',
  },
  {
    name: 'relay observe',
    files: /^relay\/observe\//,
    rooms: ['contract', 'relay task'],
    packages: ['prom-client', 'node:*'],
    why: 'every room may write a log line, and a log line changes nothing',
  },
  {
    name: 'relay spool',
    files: /^relay\/spool\//,
    entries: ['spool.ts', 'record.ts', 'body.ts'],
    rooms: ['contract'],
    packages: ['node:*'],
    why: 'only this room makes bytes durable; it knows no SMTP and no schedule',
  },
  {
    name: 'relay headers',
    files: /^relay\/headers\//,
    rooms: ['contract'],
    packages: ['node:stream'],
    pure: true,
    why: 'each change to a message is a pure step: bytes in, bytes out',
  },
  {
    name: 'relay auth',
    files: /^relay\/auth\//,
    rooms: ['contract', 'password', 'relay task'],
    packages: ['jose', 'node:*'],
    why: 'it identifies a client; the listener decides what the client may do',
  },
  {
    name: 'relay dkim',
    files: /^relay\/dkim\//,
    entries: ['signer.ts'],
    rooms: ['contract', 'relay task', 'relay observe', 'relay spool', 'relay headers'],
    packages: ['mailauth', 'node:*'],
    why: 'it signs the messages of the queue and knows no destination',
  },
  {
    name: 'relay dns',
    files: /^relay\/dns\//,
    entries: ['resolver.ts'],
    rooms: ['contract'],
    packages: ['dns-packet', 'node:*'],
    why: 'it asks DNS servers and says what DNSSEC proves; it knows no mail',
  },
  {
    name: 'relay mtasts',
    files: /^relay\/mtasts\//,
    rooms: ['contract', 'relay task', 'relay observe'],
    packages: ['mailauth', 'node:*'],
    why: 'it finds the MTA-STS policy of a domain; delivery decides what the policy means for a connection',
  },
  {
    name: 'relay tlsrpt',
    files: /^relay\/tlsrpt\//,
    entries: ['tlsreports.ts', 'report.ts'],
    rooms: ['contract', 'relay task', 'relay observe', 'relay spool', 'relay mtasts', 'relay delivery'],
    packages: ['zod', 'node:*'],
    why: 'it counts the TLS of deliveries for reports to the domains; delivery tells it, and the queue sends its mail',
  },
  {
    name: 'relay delivery',
    files: /^relay\/delivery\//,

    rooms: ['contract', 'relay task', 'relay observe', 'relay headers', 'relay dns', 'relay mtasts'],
    entries: ['courier.ts', 'deliverylog.ts', 'delivery.ts', 'ladder.ts', 'route.ts', 'tlssession.ts'],
    packages: ['nodemailer', 'node:*'],
    why: 'it delivers one message to one destination and never sees the queue or the spool',
  },
  {
    name: 'relay dsn',
    files: /^relay\/dsn\//,
    rooms: ['contract', 'relay spool'],
    packages: ['node:*'],
    why: 'it renders reports to senders and sends nothing',
  },
  {
    name: 'relay queue',
    files: /^relay\/queue\//,
    entries: ['manager.ts', 'tools.ts', 'control.ts'],

    rooms: [
      'contract',
      'relay task',
      'relay observe',
      'relay spool',
      'relay headers',
      'relay dkim',
      'relay delivery',
      'relay dsn',
    ],
    packages: ['node:*'],
    why: 'it decides when a message is tried, and knows delivery only by the Courier interface',
  },
  {
    name: 'relay router',
    files: /^relay\/router\//,
    rooms: [
      'contract',
      'relay task',
      'relay observe',
      'relay spool',
      'relay dkim',
      'relay delivery',
      'relay tlsrpt',
      'relay queue',
    ],
    packages: ['node:*'],
    why: 'the entry of the router process connects queue and delivery and decides nothing',
  },
  {
    name: 'relay listener',
    files: /^relay\/listener\//,
    entries: ['main.ts', 'relaying.ts', 'reply.ts', 'cures.ts', 'clientnetwork.ts', 'policy.ts'],
    rooms: [
      'contract',
      'password',
      'relay task',
      'relay observe',
      'relay spool',
      'relay headers',
      'relay auth',
      'relay delivery',
    ],
    packages: ['smtp-server', 'node:*'],
    why: 'it accepts mail; it may deliver (CutThrough) and never sees the queue',
  },
  {
    name: 'relay handover',
    files: /^relay\/(handover|giver|receiver)\//,
    rooms: ['contract', 'relay task', 'relay observe', 'relay spool'],
    packages: ['node:*'],
    why: 'it moves queue entries between pods and knows neither listener nor delivery',
  },
  {
    name: 'relay supervisor',
    files: /^relay\/supervisor\//,
    rooms: ['contract', 'relay task', 'relay observe', 'relay spool', 'relay listener'],
    packages: ['node:*'],
    why: 'it owns sockets, mounted files and tasks; no other room of the relay imports it',
  },
  {
    name: 'cli',
    files: /^cli\//,
    rooms: [
      'contract',
      'password',
      'operator',
      'relay observe',
      'relay listener',
      'relay queue',
      'relay delivery',
      'relay supervisor',
      'relay tlsrpt',
    ],
    packages: ['yaml', '@peculiar/x509', 'reflect-metadata', 'nodemailer', 'node:*'],
    why: '"mailrelay run" starts both halves in one process, through their entry files',
  },
];

/** The only files of operator and relay that the command may import. */
export const ENTRY_FILES = [
  'operator/main.ts',
  'relay/observe/log.ts',
  'relay/listener/cures.ts',
  'relay/listener/policy.ts',
  'relay/listener/relaying.ts',
  'relay/queue/tools.ts',
  'relay/delivery/ladder.ts',
  'relay/delivery/route.ts',
  'relay/tlsrpt/report.ts',
  'relay/supervisor/inputs.ts',
  'relay/supervisor/relay.ts',
  'relay/supervisor/cpus.ts',
];
