/** The relay of a pod inside the process of the test, on the folders of podDirs. Its log is the file `log` beside them. */
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { jsonLog } from '#relay/observe/log.ts';
import type { Relay, RelayOptions } from '#relay/supervisor/options.ts';
import { startRelay } from '#relay/supervisor/relay.ts';
import type { PodDirs } from './relayrig.ts';

export function startPodRelay(dirs: PodDirs, changes: Partial<RelayOptions> = {}): Promise<Relay> {
  const logFd = openSync(join(dirs.root, 'log'), 'a');
  return startRelay({
    ...dirs,
    address: '127.0.0.1',
    adminAddress: '127.0.0.1',
    adminPort: 0,
    processes: 1,
    version: 'test',
    log: jsonLog('supervisor', logFd, Date.now),
    logFd,
    drainMs: 2_000,
    pollMs: 50,
    ...changes,
  });
}
