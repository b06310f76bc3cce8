/**
 * Finds the state folder of the relay on this machine: the folder that the user names, else that of a pod, else the one
 * that `mailrelay run` made below the working folder. If there is none or more than one, the error says what to do.
 */
import { existsSync, globSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CONTROL_SOCKET, POD_PATHS } from '#crds/wellknown.ts';
import { RUN_NOTE } from './runnote.ts';

export function stateFolder(named: string | undefined): string {
  if (named !== undefined && !statSync(named, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`There is no state folder "${named}": name that of the relay by --state DIR`);
  const found = named === undefined ? findStateFolder() : resolve(named);
  if (found === undefined)
    throw new Error(
      'No relay runs here: name its state folder by --state DIR, or start it by "mailrelay run"',
    );
  return found;
}

/** For what asks the health port: without a word of the relay in its folder, the usual port may be that of another one. */
export function assertOfRelay(folder: string): void {
  if (![RUN_NOTE, CONTROL_SOCKET].some((name) => existsSync(join(folder, name))))
    throw new Error(`No relay runs in the state folder "${folder}": name that of the relay by --state DIR`);
}

/** Undefined: there is none. */
export function findStateFolder(): string | undefined {
  if (existsSync(join(POD_PATHS.state, CONTROL_SOCKET))) return POD_PATHS.state;
  const [found, ...others] = globSync(join('.state', '*', CONTROL_SOCKET))
    .map(dirname)
    .toSorted();
  if (others.length > 0)
    throw new Error(
      `There is more than one relay here: choose by --state ${[found, ...others].join(' or ')}`,
    );
  return found === undefined ? undefined : resolve(found);
}
