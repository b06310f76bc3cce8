/**
 * The real programs of the test cluster, built from Go modules at pinned versions and cached outside the repository by
 * name, version and recipe. A build goes to a scratch folder and is renamed when whole, so a half-done one is never
 * taken. Says what it builds and how long that takes; fails with the last lines of the compiler.
 */
import { type ExecFileException, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
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
import { join } from 'node:path';
import { promisify } from 'node:util';

const KUBERNETES = '1.34.4';
const ETCD = '3.6.8';
const HELM = '3.22.0';
const HELM_4 = '4.3.2';
const CERT_MANAGER = '1.21.2';
const COREDNS = '1.14.0';
/** kstatus is a package of it. Version 1.4 wants a newer Go. */
const FLUX_CLI_UTILS = '1.3.0';

const SOURCES = new URL('programs/', import.meta.url).pathname;
const PROGRESS_MS = 20_000;

const run = promisify(execFile);

export type Say = (line: string) => void;

interface Program {
  readonly name: string;
  readonly version: string;
  /** On two cores, for the progress line. */
  readonly seconds: number;
  /** Makes the program at `output`, in the empty folder `dir`. */
  readonly build: (dir: string, output: string) => Promise<void>;
}

const kubernetes = (name: string, seconds: number): Program => ({
  name,
  version: KUBERNETES,
  seconds,
  build: async (dir, output) => {
    await kubernetesModule(dir);
    const [major, minor] = KUBERNETES.split('.');
    const stamp = [
      `-X k8s.io/component-base/version.gitVersion=v${KUBERNETES}`,
      `-X k8s.io/component-base/version.gitMajor=${major}`,
      `-X k8s.io/component-base/version.gitMinor=${minor}`,
      `-X k8s.io/client-go/pkg/version.gitVersion=v${KUBERNETES}`,
    ];
    await goBuild(dir, output, `k8s.io/kubernetes/cmd/${name}`, stamp.join(' '));
  },
});

const PROGRAMS: readonly Program[] = [
  kubernetes('kube-apiserver', 390),
  kubernetes('kube-controller-manager', 110),
  kubernetes('kube-scheduler', 15),
  kubernetes('kubelet', 30),
  kubernetes('kube-proxy', 40),
  kubernetes('kubectl', 45),
  {
    name: 'etcd',
    version: ETCD,
    seconds: 60,
    build: async (dir, output) => {
      await module(dir, 'go.etcd.io/etcd/server/v3', ETCD, 'go.etcd.io/etcd/server/v3');
      await goBuild(dir, output, 'go.etcd.io/etcd/server/v3');
    },
  },
  helm('helm', HELM, 160),
  helm('helm4', HELM_4, 170),
  ownMain('cert-manager', CERT_MANAGER, 140, 'github.com/cert-manager/cert-manager'),
  ownMain('coredns', COREDNS, 90, 'github.com/coredns/coredns'),
  ownMain('kstatus', FLUX_CLI_UTILS, 25, 'github.com/fluxcd/cli-utils'),
  {
    name: 'pause',
    version: '1',
    seconds: 1,
    build: async (_dir, output) => {
      await run('cc', ['-static', '-O2', '-o', output, join(SOURCES, 'pause', 'pause.c')]);
    },
  },
];

/** Where everything that outlives a checkout is kept. */
export function cacheDir(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'mailrelay');
}

/** Paths of all programs by name, building what is missing. */
export async function programs(say: Say): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>();
  for (const { name } of PROGRAMS) paths.set(name, await program(name, say));
  return paths;
}

/** The path of one of them. */
export async function program(name: string, say: Say): Promise<string> {
  const found = PROGRAMS.find((one) => one.name === name);
  if (!found) throw new TypeError(`${name} is not among the programs`);
  return cached(found, say);
}

/** cert-manager's CRDs, from the module that its program is built from. */
export async function certManagerCrds(): Promise<string[]> {
  const dir = join(
    await sourcesOf(`github.com/cert-manager/cert-manager@v${CERT_MANAGER}`),
    'deploy',
    'crds',
  );
  return readdirSync(dir)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(dir, name));
}

/** The folder of a Go module: `path@version`. */
export async function sourcesOf(at: string): Promise<string> {
  const { stdout } = await run('go', ['mod', 'download', '-json', at], { env: goEnvironment() });
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}

async function cached(program: Program, say: Say): Promise<string> {
  const folder = join(cacheDir(), 'cluster');
  const path = join(folder, `${program.name}-${program.version}-${recipeOf(program)}`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  await withProgress(program, say, () => buildWhole(program, folder, path));
  return path;
}

/** Changes with everything that decides about the program, so that no old one is taken for it. */
function recipeOf({ name, build }: Program): string {
  const steps = [build, module, kubernetesModule, goBuild, goEnvironment].join('\n');
  return createHash('sha256').update(steps).update(ownSource(name)).digest('hex').slice(0, 12);
}

async function buildWhole({ name, version, build }: Program, folder: string, path: string): Promise<void> {
  const dir = mkdtempSync(join(folder, `${name}.building-`));
  try {
    await build(dir, join(dir, 'program'));
    renameSync(join(dir, 'program'), path);
  } catch (error) {
    const { stderr, message } = error as ExecFileException & { stderr?: string };
    const words = (stderr || message).trim().split('\n').slice(-5).join(' | ');
    throw new Error(`Cannot build ${name} ${version}: ${words}`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function withProgress(program: Program, say: Say, work: () => Promise<void>): Promise<void> {
  const title = `${program.name} ${program.version}`;
  const about = `about ${program.seconds} s on two cores`;
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  say(`building ${title}, ${about}`);
  const progress = setInterval(() => say(`building ${title}, ${seconds()} s so far, ${about}`), PROGRESS_MS);
  try {
    await work();
    say(`built ${title} in ${seconds()} s`);
  } finally {
    clearInterval(progress);
  }
}

function helm(name: string, version: string, seconds: number): Program {
  const path = `helm.sh/helm/v${version.split('.')[0]}`;
  return {
    name,
    version,
    seconds,
    build: async (dir, output) => {
      await module(dir, path, version, `${path}/cmd/helm`);
      await goBuild(dir, output, `${path}/cmd/helm`);
    },
  };
}

function ownMain(name: string, version: string, seconds: number, modulePath: string): Program {
  return {
    name,
    version,
    seconds,
    build: async (dir, output) => {
      cpSync(join(SOURCES, name), dir, { recursive: true });
      await module(dir, modulePath, version);
      await goBuild(dir, output, '.');
    },
  };
}

function ownSource(name: string): string {
  const dir = join(SOURCES, name);
  return existsSync(dir)
    ? readdirSync(dir)
        .map((file) => readFileSync(join(dir, file), 'utf8'))
        .join('')
    : '';
}

/** A module that requires one other; `tool` keeps a command of it in the build list. */
async function module(dir: string, path: string, version: string, tool?: string): Promise<void> {
  writeFileSync(join(dir, 'go.mod'), 'module cluster.test\n\ngo 1.26.0\n');
  if (tool) writeFileSync(join(dir, 'tool.go'), `//go:build tools\n\npackage tools\n\nimport _ "${tool}"\n`);
  await go(dir, ['mod', 'edit', `-require=${path}@v${version}`]);
  await go(dir, ['mod', 'tidy']);
}

/**
 * k8s.io/kubernetes requires its staging modules at v0.0.0 and replaces them inside its own tree, which a dependent
 * module cannot see: each is replaced by the published module of the same release.
 */
async function kubernetesModule(dir: string): Promise<void> {
  writeFileSync(join(dir, 'go.mod'), 'module cluster.test\n\ngo 1.26.0\n\ngodebug default=go1.26\n');
  const { stdout } = await run('go', ['mod', 'download', '-json', `k8s.io/kubernetes@v${KUBERNETES}`], {
    env: goEnvironment(),
  });
  const { GoMod } = JSON.parse(stdout) as { GoMod: string };
  const staging = [...readFileSync(GoMod, 'utf8').matchAll(/^\s*(\S+) => \.\/staging/gm)].map(
    ([, name]) => name,
  );
  const version = `v0.${KUBERNETES.split('.').slice(1).join('.')}`;
  await go(dir, [
    'mod',
    'edit',
    `-require=k8s.io/kubernetes@v${KUBERNETES}`,
    ...staging.map((name) => `-replace=${name}=${name}@${version}`),
  ]);
  const commands = PROGRAMS.filter((program) => program.version === KUBERNETES).map(({ name }) => name);
  const imports = commands.map((name) => `\t_ "k8s.io/kubernetes/cmd/${name}"`).join('\n');
  writeFileSync(join(dir, 'tool.go'), `//go:build tools\n\npackage tools\n\nimport (\n${imports}\n)\n`);
  await go(dir, ['mod', 'tidy']);
}

async function goBuild(dir: string, output: string, what: string, stamp = ''): Promise<void> {
  await go(dir, ['build', '-trimpath', '-ldflags', `-s -w ${stamp}`.trim(), '-o', output, what]);
}

/** Niced, so that a machine that is used meanwhile stays usable. */
function go(dir: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('nice', ['go', ...args], {
      cwd: dir,
      env: goEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr = `${stderr}${chunk}`.slice(-8_000);
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(Object.assign(new Error(`go ${args[0]} ended with ${code}`), { stderr }));
    });
  });
}

function goEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' };
}
