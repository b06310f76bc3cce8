/**
 * One owner per state folder: a Unix socket that the living relay listens on. A relay that was killed leaves the file
 * but nobody behind it, so the next one takes over; a second relay, in another container on the same kernel too, finds
 * somebody there and stops. Fails with one sentence.
 */
import { unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join, relative } from 'node:path';

const LOCK_NAME = 'owner.sock';
/** A path of a Unix socket has at most 107 bytes: a long one is tried relative to the working folder. */
const MAX_PATH_BYTES = 107;

export interface Ownership {
  release(): void;
}

export async function takeOwnership(stateDir: string): Promise<Ownership> {
  const path = socketPath(stateDir);
  for (let attempt = 0; attempt < 2; attempt++) {
    const server = await listenOn(path);
    if (server) return { release: () => server.close() };
    if (await isAlive(path)) break;
    unlinkSync(path);
  }
  throw new Error(`Another relay uses the state folder "${stateDir}": stop it, or choose another folder`);
}

function socketPath(stateDir: string): string {
  const absolute = join(stateDir, LOCK_NAME);
  if (Buffer.byteLength(absolute) <= MAX_PATH_BYTES) return absolute;
  const near = relative(process.cwd(), absolute);
  if (Buffer.byteLength(near) <= MAX_PATH_BYTES) return near;
  throw new Error(
    `The path of the state folder "${stateDir}" is too long for its lock: choose a shorter one`,
  );
}

/** Undefined when the name is taken. */
function listenOn(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    // Being connected to is all it is for.
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(new Error(`Cannot lock the state folder by "${path}": ${error.code}`));
    });
    server.listen(path, () => resolve(server));
    server.unref();
  });
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
