/**
 * An image for `outbound.resolver.sidecar`: Unbound out of Debian's package, the libraries that it names, a shell, and a
 * trust anchor where Debian puts it. No image registry is at hand, so it goes from a file into containerd.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { packageFolder } from '#test/kit/dnstree.ts';
import { putFile, putShell } from './baseimage.ts';
import { importImage } from './containerd.ts';
import { BUSYBOX, librariesOf } from './processors.ts';
import { command } from './supervise.ts';

const PROGRAMS = ['unbound', 'unbound-control'];
const LIBRARIES = '/usr/lib/x86_64-linux-gnu';

/** Builds it with this trust anchor, and returns its reference in that containerd. */
export function loadResolverImage(socket: string, anchor: string): string {
  const digest = createHash('sha256').update(anchor).digest('hex').slice(0, 16);
  const reference = `mailrelay.test/unbound:${digest}`;
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-unbound-'));
  try {
    const [root, archive] = [join(dir, 'root'), join(dir, 'archive.tar')];
    assemble(root, anchor);
    const container = command('buildah', ['from', 'scratch']).trim();
    command('buildah', ['copy', '--quiet', container, root, '/']);
    command('buildah', ['config', '--env', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', container]);
    command('buildah', ['commit', '--quiet', '--rm', container, `docker-archive:${archive}:${reference}`]);
    importImage({ socket }, archive, reference);
    return reference;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function assemble(root: string, anchor: string): void {
  const folder = packageFolder('unbound');
  for (const name of PROGRAMS) {
    const program = join(folder, 'usr', 'sbin', name);
    putFile(root, program, `/usr/sbin/${name}`);
    for (const library of librariesOf(program, join(folder, LIBRARIES)))
      putFile(root, library, isLoader(library) ? library : join(LIBRARIES, basename(library)));
  }
  putShell(root, BUSYBOX, 'cp', 'mv');
  mkdirSync(join(root, 'usr', 'share', 'dns'), { recursive: true });
  writeFileSync(join(root, 'usr', 'share', 'dns', 'root.key'), anchor);
  command('chmod', ['-R', 'a+rX', root]);
}

function isLoader(library: string): boolean {
  return basename(library).startsWith('ld-');
}
