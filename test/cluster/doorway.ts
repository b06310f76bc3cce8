/**
 * The API server as seen from the machine: a port of 127.0.0.1 that leads into the cluster's namespace by way of a
 * socket file, so that kubectl works from any shell and no network joins the two.
 */
import { join } from 'node:path';
import { freePort } from '#test/kit/ports.ts';
import { NODE_ADDRESS } from './configuration.ts';
import { type Starting, startInside } from './starting.ts';

export async function openDoorway(starting: Starting): Promise<number> {
  const socket = join(starting.place.dir, 'api.sock');
  startInside(starting, 'socat', [`UNIX-LISTEN:${socket},fork`, `TCP:${NODE_ADDRESS}:6443`]);
  const port = await freePort();
  const listen = `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`;
  starting.processes.start('doorway', ['socat', listen, `UNIX-CONNECT:${socket}`]);
  return port;
}
