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
  /** Pure rooms have no clock, disk, network, environment or randomness of their own. */
  readonly pure?: boolean;
  readonly why: string;
}

export const ROOMS: readonly Room[] = [
  {
    name: 'tests',
    files: /\.test\.ts$|^test\/|^relay\/testrig\.ts$/,
    rooms: [
      'contract',
      'password',
      'generators',
      'operator pure',
      'operator',
      'operator door',
      'relay pure',
      'relay spool',
      'relay handover',
      'relay',
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
    name: 'relay spool',
    files: /^relay\/spool\//,
    rooms: ['contract', 'relay pure'],
    packages: ['node:*'],
    why: 'the single place where bytes become durable',
  },
  {
    name: 'relay pure',
    files:
      /^relay\/(messages|materials|auth\/(certificatenames|bearer)|headers\/\w+|listener\/(policy|reply|address|clientnetwork|linebreaks|received|relaying|tlsgroup)|router\/(route|tlsplan|schedule|classify|courier|queue|idtable|hoporder|outcome|signable)|supervisor\/(plan|proxyheader|missing|leaving))\.ts$/,
    rooms: ['contract', 'relay spool'],
    packages: ['node:net', 'node:stream', 'node:url'],
    pure: true,
    why: 'the decisions of mail: testable without a socket (of the spool only types are used)',
  },
  {
    name: 'relay handover',
    files: /^relay\/handover\//,
    rooms: ['contract', 'relay pure', 'relay spool', 'relay'],
    packages: ['node:*'],
    why: 'the door for other pods: nobody imports it, and of the rest it needs the log, the messages and the lock',
  },
  {
    name: 'relay',
    files: /^relay\//,
    rooms: ['contract', 'password', 'relay pure', 'relay spool'],
    packages: ['smtp-server', 'nodemailer', 'prom-client', 'jose', 'mailauth', 'node:*'],
    why: 'the adaptors and processes of the data plane; never client-node, which costs 85 MB, and never the operator',
  },
  {
    name: 'cli',
    files: /^cli\//,
    rooms: ['contract', 'password', 'relay', 'operator', 'relay pure'],
    packages: ['yaml', '@peculiar/x509', 'reflect-metadata', 'nodemailer', 'node:*'],
    why: '"mailrelay run" is both halves in one place, through their doors',
  },
];

/** Doors: the only files of a half that the command may import. */
export const DOORS = [
  'operator/main.ts',
  'relay/log.ts',
  'relay/listener/policy.ts',
  'relay/listener/relaying.ts',
  'relay/router/tools.ts',
  'relay/router/route.ts',
  'relay/supervisor/relay.ts',
  'relay/supervisor/cpus.ts',
];
