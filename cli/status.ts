/**
 * `mailrelay status`: prints the status of a relay, as text or as JSON; or its metrics. The exit status is 0 if the relay is ready, and
 * 1 if it is not ready or does not answer.
 */
import { print } from './output.ts';
import { type AdminEndpoint, askRelay, askStatus } from './relaystatus.ts';
import { describeStatus } from './statustext.ts';
import { paintNames } from './styles.ts';
import type { Format } from './verb.ts';

interface StatusOptions extends AdminEndpoint {
  readonly output: Format;
  readonly metrics?: boolean;
}

export async function status({ output, metrics, ...endpoint }: StatusOptions): Promise<number> {
  if (metrics) {
    process.stdout.write(await askRelay(endpoint, '/metrics'));
    return 0;
  }
  const found = await askStatus(endpoint);
  await print(output, found, () => paintNames(describeStatus(found, Date.now())));
  return found.ready ? 0 : 1;
}
