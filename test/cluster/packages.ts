/**
 * The Debian packages that a test cluster stands on. Installs the missing ones, and says so; fails with the package
 * manager's own words. For the image alone, which a person builds, nothing is installed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installProblem } from '#test/kit/debian.ts';

/** A program that shows that the package is there: the package. */
const PACKAGES: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  runc: 'runc',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
  iptables: 'iptables',
  conntrack: 'conntrack',
  ethtool: 'ethtool',
  socat: 'socat',
  buildah: 'buildah',
  ip: 'iproute2',
  openssl: 'openssl',
  busybox: 'busybox-static',
  cc: 'gcc',
  '/usr/include/unistd.h': 'libc6-dev',
};

export function installPackages(): void {
  const missing = Object.entries(PACKAGES).filter(([program]) => !onPath(program));
  const problem = installProblem(() => missing.length === 0, ...missing.map(([, name]) => name));
  if (problem) throw new Error(problem);
}

/** Fails with what to install, in the place of a program that is not found. */
export function demand(...programs: readonly string[]): void {
  const missing = programs.filter((program) => !onPath(program));
  if (missing.length === 0) return;
  const names = missing.map((program) => PACKAGES[program] ?? program).join(' ');
  throw new Error(`Not installed: ${missing.join(', ')}. On Debian: apt-get install ${names}`);
}

export function onPath(program: string): boolean {
  if (program.startsWith('/')) return existsSync(program);
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':');
  return folders.some((folder) => existsSync(join(folder, program)));
}
