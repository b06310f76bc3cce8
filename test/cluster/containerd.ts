/** Images in a cluster's containerd: docker-archives come in from files, nothing is ever pulled. */
import { join } from 'node:path';
import type { Place } from './place.ts';
import { command } from './supervise.ts';

export function ctr({ socket }: Place, args: readonly string[]): string {
  return command('ctr', ['--address', socket, ...args]);
}

export function importImage(place: Place, archive: string): void {
  ctr(place, ['-n', 'k8s.io', 'images', 'import', archive]);
}

/** The image that holds a pod's namespaces, of one static program. */
export function importPauseImage(place: Place, program: string): void {
  const archive = join(place.dir, 'pause.tar');
  const container = command('buildah', ['from', 'scratch']).trim();
  command('buildah', ['copy', container, program, '/pause']);
  command('buildah', ['config', '--entrypoint', '["/pause"]', container]);
  const target = `docker-archive:${archive}:mailrelay.test/pause:1`;
  command('buildah', ['commit', '--quiet', '--rm', container, target]);
  importImage(place, archive);
}
