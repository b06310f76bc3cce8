/**
 * A signed DNS tree of its own: a root, a top-level domain and zones below it on a real BIND, and a real Unbound that
 * validates with the key of that root. Both programs come out of Debian's packages, without an installation. Zones can
 * be unsigned, expired or spoilt. Needs root for port 53; the addresses must exist.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpacked } from './debian.ts';
import { Foreground } from './foreground.ts';

export interface Zone {
  /** Without the final dot; the parent must be a zone of the tree, or the root. */
  readonly name: string;
  /** Lines of the zone file below its SOA and NS. */
  readonly records: readonly string[];
  /**
   * signed. unsigned: the parent has no DS, which is proven. expired: its signatures are old. bogus: records were changed after
   * they were signed. lame: nobody answers where it is delegated to.
   */
  readonly state: 'signed' | 'unsigned' | 'expired' | 'bogus' | 'lame';
}

export interface TreeOptions {
  readonly zones: readonly Zone[];
  /** Of the name server, on port 53. */
  readonly address: string;
  /** Where it listens too. */
  readonly aliases?: readonly string[];
  /** An address where nobody answers. */
  readonly dead: string;
  /** Where Unbound listens: address@port. None: there is no Unbound. */
  readonly resolver: readonly string[];
}

const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
/** Of a record that is changed after signing. */
const SPOILT = '192.0.2.254';

export class DnsTree {
  readonly #dir: string;
  readonly #programs: Foreground[] = [];

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async start(options: TreeOptions): Promise<DnsTree> {
    const tree = new DnsTree(mkdtempSync(join(tmpdir(), 'mailrelay-dns-')));
    try {
      tree.#sign(options);
      await tree.#serve(options);
      return tree;
    } catch (error) {
      await tree.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (const program of this.#programs) await program.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** From the leaves to the root, because a parent has the DS records of its children. */
  #sign({ zones, address, dead }: TreeOptions): void {
    chmodSync(this.#dir, 0o755);
    const root: Zone = { name: '', records: [], state: 'signed' };
    for (const zone of [...zones, root].toSorted((a, b) => depth(b.name) - depth(a.name))) {
      if (zone.state === 'lame') continue;
      const children = zones.filter(({ name }) => name !== '' && parent(name) === zone.name);
      const delegations = children.flatMap((child) =>
        this.#delegate(child, child.state === 'lame' ? dead : address),
      );
      this.#write(zone, [...delegations, ...zone.records], address);
    }
  }

  #delegate({ name, state }: Zone, address: string): string[] {
    const ns = [`${name}. IN NS ns.${name}.`, `ns.${name}. IN A ${address}`];
    return state === 'unsigned' || state === 'lame'
      ? ns
      : [...ns, readFileSync(join(this.#folder(name), 'ds'), 'utf8').trim()];
  }

  #write({ name, state }: Zone, records: readonly string[], address: string): void {
    const folder = this.#folder(name);
    mkdirSync(folder);
    const apex = name === '' ? '.' : `${name}.`;
    const ns = name === '' ? 'ns.' : `ns.${apex}`;
    const lines = [
      '$TTL 60',
      `${apex} IN SOA ${ns} hostmaster.${name === '' ? '' : apex} 1 3600 600 86400 60`,
      `${apex} IN NS ${ns}`,
      `${ns} IN A ${address}`,
      ...records,
    ];
    writeFileSync(join(folder, 'zone'), `${lines.join('\n')}\n`);
    if (state === 'unsigned') return;
    const key = this.#run(folder, 'bin/dnssec-keygen', '-a', 'ECDSAP256SHA256', '-f', 'KSK', apex).trim();
    this.#run(folder, 'bin/dnssec-keygen', '-a', 'ECDSAP256SHA256', apex);
    const dates =
      state === 'expired' ? ['-P', '-s', '20200101000000', '-e', '20200201000000'] : ['-s', 'now-3600'];
    this.#run(folder, 'bin/dnssec-signzone', '-S', '-o', apex, ...dates, '-f', 'signed', 'zone');
    writeFileSync(join(folder, 'ds'), this.#run(folder, 'bin/dnssec-dsfromkey', '-2', `${key}.key`));
    writeFileSync(join(folder, 'zone'), readFileSync(join(folder, 'signed')));
    if (state === 'bogus') this.#spoil(join(folder, 'zone'));
  }

  /** Every address, MX and TLSA record is another one than was signed, but for the address of the name server. */
  #spoil(path: string): void {
    const spoilt = readFileSync(path, 'utf8')
      .replaceAll(/^((?!ns\.)\S+\s+\d+\s+IN A\s+)\S+$/gm, `$1${SPOILT}`)
      .replaceAll(/^(\S+\s+\d+\s+IN MX\s+)\d+/gm, '$1999')
      .replaceAll(/^(.*\d\s+(?:IN\s+)?TLSA\s+3 )1/gm, (_, head: string) => `${head}0`);
    writeFileSync(path, spoilt);
  }

  /** The key of the root, as a trust anchor. */
  get anchor(): string {
    const keys = readdirSync(this.#folder('')).filter((file) => file.endsWith('.key'));
    const texts = keys.map((file) => readFileSync(join(this.#folder(''), file), 'utf8'));
    return texts.find((text) => / 257 /.test(text)) ?? '';
  }

  async #serve({ zones, address, aliases = [], resolver }: TreeOptions): Promise<void> {
    const named = zones.filter(({ state }) => state !== 'lame').map(({ name }) => name);
    const blocks = [...named, ''].map(
      (name) => `zone "${name === '' ? '.' : name}" { type primary; file "${this.#folder(name)}/zone"; };`,
    );
    writeFileSync(
      join(this.#dir, 'named.conf'),
      `options { directory "${this.#dir}"; listen-on { ${[address, ...aliases].join('; ')}; }; listen-on-v6 { none; }; recursion no; max-records-per-type 0; pid-file none;
  session-keyfile none; dnssec-validation no; check-integrity no; minimal-responses yes; };
controls { };
${blocks.join('\n')}
`,
    );
    await this.#start('named', address, 'bind9', 'sbin/named', '-g', '-c', join(this.#dir, 'named.conf'));
    const [first] = resolver;
    if (first !== undefined) await this.#validate(address, first, resolver);
  }

  async #validate(address: string, first: string, resolver: readonly string[]): Promise<void> {
    writeFileSync(join(this.#dir, 'anchor'), this.anchor);
    writeFileSync(join(this.#dir, 'hints'), `. 3600 IN NS ns.\nns. 3600 IN A ${address}\n`);
    writeFileSync(
      join(this.#dir, 'unbound.conf'),
      `server:
  directory: "${this.#dir}"
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  module-config: "validator iterator"
  root-hints: "${this.#dir}/hints"
  trust-anchor-file: "${this.#dir}/anchor"
  outgoing-interface: ${address}
${resolver.map((where) => `  interface: ${where}`).join('\n')}
remote-control:
  control-enable: no
`,
    );
    await this.#start(
      'unbound',
      first.split('@')[0] ?? '',
      'unbound',
      'sbin/unbound',
      '-d',
      '-c',
      join(this.#dir, 'unbound.conf'),
    );
  }

  async #start(
    name: string,
    host: string,
    debian: string,
    program: string,
    ...args: string[]
  ): Promise<void> {
    const folder = packageFolder(debian);
    const command = [join(folder, 'usr', program), ...args];
    const env = { LD_LIBRARY_PATH: join(folder, LIBRARIES) };
    this.#programs.push(await Foreground.start({ name, command, port: 53, host, env }));
  }

  #run(cwd: string, program: string, ...args: string[]): string {
    const folder = packageFolder('bind9');
    return execFileSync(join(folder, 'usr', program), args, {
      cwd,
      encoding: 'utf8',
      env: { ...process.env, LD_LIBRARY_PATH: join(folder, LIBRARIES) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  #folder(name: string): string {
    return join(this.#dir, name === '' ? 'root' : name);
  }
}

function parent(name: string): string {
  return name.includes('.') ? name.slice(name.indexOf('.') + 1) : '';
}

function depth(name: string): number {
  return name === '' ? 0 : name.split('.').length;
}

/** For tests that run where no package can be downloaded. */
export function fetchNameServers(): void {
  for (const name of ['bind9', 'unbound']) packageFolder(name);
}

/** Asking the package manager for a version takes a second. */
const folders = new Map<string, string>();
export function packageFolder(debian: string): string {
  const folder = folders.get(debian) ?? unpacked(debian);
  folders.set(debian, folder);
  return folder;
}
