/**
 * Finds the state folder of the relay on this machine: the folder that the user names, else that of a pod, else the one
 * that `mailrelay run` made below the working folder. If there is none or more than one, the error says what to do.
 */
import { accessSync, constants, existsSync, globSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CONTROL_SOCKET, POD_PATHS } from '#crds/wellknown.ts';
import { RUN_NOTE } from './runnote.ts';

/** The folders of "mailrelay run" below the working folder. */
const RUN_FOLDERS = '.state';

export function stateFolder(named: string | undefined): string {
  if (named !== undefined && !statSync(named, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`There is no state folder "${named}": name that of the relay by --state DIR`);
  const found = named === undefined ? findStateFolder() : resolve(named);
  if (found !== undefined) return found;
  const locked = findLocked();
  if (locked !== undefined)
    throw new Error(
      `You may not look into "${locked}": run this as the user of the relay, or add --state DIR`,
    );
  throw new Error('No relay runs here: name its state folder by --state DIR, or start it by "mailrelay run"');
}

/** For what asks the health port: without a word of the relay in its folder, the usual port may be that of another one. */
export function assertOfRelay(folder: string): void {
  if (![RUN_NOTE, CONTROL_SOCKET].some((name) => existsSync(join(folder, name))))
    throw new Error(`No relay runs in the state folder "${folder}": name that of the relay by --state DIR`);
}

/** A folder of another user looks as if it were empty. No file is one: nobody can look into it. */
function findLocked(): string | undefined {
  return [RUN_FOLDERS, ...globSync(join(RUN_FOLDERS, '*')), POD_PATHS.state].find((folder) => {
    try {
      if (!statSync(folder).isDirectory()) return false;
      accessSync(folder, constants.R_OK | constants.X_OK);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EACCES';
    }
  });
}

/** Undefined: there is none. */
export function findStateFolder(): string | undefined {
  if (existsSync(join(POD_PATHS.state, CONTROL_SOCKET))) return POD_PATHS.state;
  const [found, ...others] = globSync(join(RUN_FOLDERS, '*', CONTROL_SOCKET))
    .map(dirname)
    .toSorted();
  if (others.length > 0)
    throw new Error(
      `There is more than one relay here: choose by --state ${[found, ...others].join(' or ')}`,
    );
  return found === undefined ? undefined : resolve(found);
}
