/**
 * Real messages from the tests of mail libraries. The package managers of the machine fetch them, and they are kept
 * outside the repository. A package that cannot be fetched is reported by name, with the message of the package
 * manager. Lines end in CRLF, as on the wire, and each message counts once.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { unpacked, versionOf } from './debian.ts';
import { dkimpyFolder } from './dkimpy.ts';

const CACHE = join(homedir(), '.cache', 'mailrelay', 'crates');

interface Source {
  readonly name: string;
  readonly folder: () => string;
  /** The paths of the files that are messages. */
  readonly paths: RegExp;
}

const crate = (name: string, version: string, paths: RegExp): Source => ({
  name: `crate ${name}`,
  folder: () => crateFolder(name, version),
  paths,
});

const SOURCES: readonly Source[] = [
  crate('mail-parser', '1.0.1', /^resources\/.*\.eml$/),
  crate('mail-auth', '0.15.1', /^resources\/(?:dkim2\/.*\.eml|(?:dkim|arc)\/.*\.txt)$/),
  crate('mailparse', '0.18.0', /^tests\/files\/.*\.(?:eml|txt)$/),
  { name: "CPython's test_email", folder: cpythonTests, paths: /\/test_email\/data\/msg_.*\.txt$/ },
  {
    name: "dkimpy's tests",
    folder: dkimpyFolder,
    paths: /^dkim\/tests\/data\/.*(?:\.msg|\.mbox|\.message.*)$/,
  },
];

interface CorpusMessage {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Corpus {
  readonly messages: readonly CorpusMessage[];
  /** Public keys that are packaged with the messages, by their DNS name. */
  readonly keys: Readonly<Record<string, string>>;
  /** Why a package could not be fetched. */
  readonly problems: readonly string[];
}

export function loadCorpus(): Corpus {
  const messages = new Map<string, CorpusMessage>();
  const keys: Record<string, string> = {};
  const problems: string[] = [];
  for (const { name, folder, paths } of SOURCES) {
    try {
      const root = folder();
      const found = (readdirSync(root, { recursive: true }) as string[])
        .filter((path) => paths.test(path))
        .sort();
      if (found.length === 0) problems.push(`${name}: no messages in the package`);
      for (const path of found) {
        const text = readFileSync(join(root, path), 'latin1').replace(/\r?\n/g, '\r\n');
        const message = withoutRecords(text, keys);
        if (!messages.has(message))
          messages.set(message, { name: `${name}: ${path}`, bytes: Buffer.from(message, 'latin1') });
      }
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message.trim().split('\n').slice(-3).join(' | ')}`);
    }
  }
  return { messages: [...messages.values()], keys, problems };
}

/** mail-auth writes the DNS records of a message above the message, and an empty line between. */
function withoutRecords(text: string, keys: Record<string, string>): string {
  const [records = ''] = /^(?:\S+\._domainkey\.\S+ .*\r\n)+\r\n/.exec(text) ?? [];
  for (const [, name = '', record = ''] of records.matchAll(/^(\S+) (.*)\r$/gm)) keys[name] = record;
  return text.slice(records.length);
}

/** The sources of a crate. Cargo also fetches its dependencies, but without features these are few. */
function crateFolder(name: string, version: string): string {
  const folder = join(CACHE, `${name}-${version}`);
  if (existsSync(folder)) return folder;
  process.stderr.write(`downloading the crate ${name} ${version}\n`);
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, 'fetching-'));
  try {
    const dependency = `${name} = { version = "=${version}", default-features = false }`;
    const manifest = `[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "fetch.rs"\n[dependencies]\n${dependency}\n[workspace]\n`;
    writeFileSync(join(work, 'Cargo.toml'), manifest);
    writeFileSync(join(work, 'fetch.rs'), '');
    const output = execFileSync('cargo', ['metadata', '--format-version', '1', '--quiet'], {
      cwd: work,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { packages } = JSON.parse(output) as { packages: { name: string; manifest_path: string }[] };
    const found = packages.find((one) => one.name === name);
    cpSync(dirname(found?.manifest_path ?? ''), join(work, 'crate'), { recursive: true });
    renameSync(join(work, 'crate'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

/** Debian names the package after the version of its Python. */
function cpythonTests(): string {
  const [, python = ''] = /^(\d+\.\d+)/.exec(versionOf('python3')) ?? [];
  return unpacked(`libpython${python}-testsuite`, []);
}
