/** Images in a cluster's containerd: docker-archives come in from files, nothing is ever pulled. */
import { join } from 'node:path';
import { PAUSE_IMAGE } from './configuration.ts';
import type { Place } from './place.ts';
import { command } from './supervise.ts';

export function ctr({ socket }: Pick<Place, 'socket'>, args: readonly string[]): string {
  return command('ctr', ['--address', socket, ...args]);
}

/** Reads the whole archive, so one that is there already is left alone. */
export function importImage(place: Pick<Place, 'socket'>, archive: string, reference: string): void {
  const present = ctr(place, ['-n', 'k8s.io', 'images', 'ls', '-q', `name==${reference}`]);
  if (present.trim() === '') ctr(place, ['-n', 'k8s.io', 'images', 'import', archive]);
}

/** The image that holds a pod's namespaces, of one static program. */
export function importPauseImage(place: Place, program: string): void {
  const archive = join(place.dir, 'pause.tar');
  const container = command('buildah', ['from', 'scratch']).trim();
  command('buildah', ['copy', container, program, '/pause']);
  command('buildah', ['config', '--entrypoint', '["/pause"]', container]);
  command('buildah', ['commit', '--quiet', '--rm', container, `docker-archive:${archive}:${PAUSE_IMAGE}`]);
  importImage(place, archive, PAUSE_IMAGE);
}
