/**
 * The dependency law: what each room may import, and why. The first room whose pattern matches a file is its room.
 * Packages and Node's own modules are named; `node:*` stands for all of Node's, and files of the same room are always
 * allowed.
 */
export interface Room {
  readonly name: string;
  readonly files: RegExp;
  /** Other rooms. */
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
  /** The files, within the room, that other rooms may import; absent: all of them. */
  readonly doors?: readonly string[];
  /** Pure rooms have no clock, disk, network, environment or randomness of their own. */
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
      'operator door',
      'relay task',
      'relay observe',
      'relay spool',
      'relay headers',
      'relay auth',
      'relay dkim',
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
    why: 'tests may look at everything; nothing may look at them',
  },
  {
    name: 'generators',
    files: /^(crds|operator)\/generate\.ts$/,
    rooms: ['contract', 'operator door'],
    packages: ['node:fs', 'yaml'],
    why: 'they write files and are not part of any program',
  },
  {
    name: 'password',
    files: /^crds\/passwordhash\.ts$/,
    rooms: [],
    packages: ['node:crypto', 'node:util'],
    why: 'the command writes hashes and the relay checks them: one form, and salt is random',
  },
  {
    name: 'contract',
    files: /^crds\//,
    rooms: [],
    packages: ['zod', 'node:crypto', 'node:net', 'node:tls'],
    pure: true,
    why: 'the contract between operator and relay belongs to neither and outlives both',
  },
  {
    name: 'operator door',
    files: /^operator\/kube\//,
    rooms: ['contract', 'operator pure'],
    packages: ['@kubernetes/client-node', 'undici', 'node:*'],
    why: 'one door to the API server, replaceable in tests; nobody else speaks to it',
  },
  {
    name: 'operator pure',
    files: /^operator\/(judge|render|report)\/|^operator\/(world|compare)\.ts$/,
    rooms: ['contract', 'operator door'],
    packages: [],
    pure: true,
    why: 'what is decided, wanted and reported must be testable without a cluster (of the door only types are used)',
  },
  {
    name: 'operator',
    files: /^operator\//,
    rooms: ['contract', 'operator pure', 'operator door'],
    packages: ['undici', 'prom-client', 'node:*'],
    why: 'orchestration knows everyone of its half, nobody knows it, and never the relay: their versions may differ',
  },
  {
    name: 'relay task',
    files: /^relay\/task\//,
    rooms: ['contract'],
    packages: ['node:*'],
    why: 'what every process of a relay is made of: it knows no mail',
  },
  {
    name: 'relay observe',
    files: /^relay\/observe\//,
    rooms: ['contract', 'relay task'],
    packages: ['prom-client', 'node:*'],
    why: 'everybody may write a log line; a log line changes nothing',
  },
  {
    name: 'relay spool',
    files: /^relay\/spool\//,
    doors: ['spool.ts', 'record.ts', 'body.ts'],
    rooms: ['contract'],
    packages: ['node:*'],
    why: 'the single place where bytes become durable: it knows no SMTP and no schedule',
  },
  {
    name: 'relay headers',
    files: /^relay\/headers\//,
    rooms: ['contract'],
    packages: ['node:stream'],
    pure: true,
    why: 'the changes to a message are pure steps: bytes in, bytes out',
  },
  {
    name: 'relay auth',
    files: /^relay\/auth\//,
    rooms: ['contract', 'password', 'relay task'],
    packages: ['jose', 'node:*'],
    why: 'it says who a client is; the listener decides what the client may do',
  },
  {
    name: 'relay dkim',
    files: /^relay\/dkim\//,
    doors: ['signer.ts'],
    rooms: ['contract', 'relay task', 'relay observe', 'relay spool', 'relay headers'],
    packages: ['mailauth', 'node:*'],
    why: 'it signs what the queue gives it and knows no destination',
  },
  {
    name: 'relay delivery',
    files: /^relay\/delivery\//,

    rooms: ['contract', 'relay task', 'relay observe', 'relay headers'],
    doors: ['courier.ts', 'deliverylog.ts', 'delivery.ts', 'route.ts'],
    packages: ['nodemailer', 'node:*'],
    why: 'it takes one message to one destination; it never sees the queue or the spool',
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
    doors: ['manager.ts', 'tools.ts', 'control.ts'],

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
    why: 'it decides when a message is tried, and knows delivery only as a Courier',
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
      'relay queue',
    ],
    packages: ['node:*'],
    why: 'the entry of the router process puts queue and delivery together and decides nothing',
  },
  {
    name: 'relay listener',
    files: /^relay\/listener\//,
    doors: ['main.ts', 'relaying.ts', 'reply.ts', 'cures.ts', 'clientnetwork.ts', 'policy.ts'],
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
    why: 'it takes mail in; it may deliver (CutThrough) and never sees the queue',
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
    why: 'it owns sockets, mounted files and tasks; nobody of the relay sees it',
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
    ],
    packages: ['yaml', '@peculiar/x509', 'reflect-metadata', 'nodemailer', 'node:*'],
    why: '"mailrelay run" is both halves in one place, through their doors',
  },
];

/** Doors of the halves: the only files of operator and relay that the command may import. */
export const DOORS = [
  'operator/main.ts',
  'relay/observe/log.ts',
  'relay/listener/cures.ts',
  'relay/listener/policy.ts',
  'relay/listener/relaying.ts',
  'relay/queue/tools.ts',
  'relay/delivery/route.ts',
  'relay/supervisor/relay.ts',
  'relay/supervisor/cpus.ts',
];
