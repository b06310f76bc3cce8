/**
 * The Debian packages that a test cluster stands on. Installs the missing ones, and says so; fails with the package
 * manager's own words.
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

export function onPath(program: string): boolean {
  if (program.startsWith('/')) return existsSync(program);
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':');
  return folders.some((folder) => existsSync(join(folder, program)));
}
