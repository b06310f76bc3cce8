/**
 * `mailrelay status`: prints the status of a relay, as text or as JSON; or its metrics. The exit status is 0 if the relay is ready, and
 * 1 if it is not ready or does not answer.
 */
import { print } from './output.ts';
import { askMetrics, askStatus, findEndpoint } from './relaystatus.ts';
import { describeStatus } from './statustext.ts';
import { describeWideTables } from './statuswide.ts';
import { paintNames } from './styles.ts';
import { UsageError } from './usage.ts';
import type { Format } from './verb.ts';

interface StatusOptions {
  readonly address?: string;
  readonly adminPort?: number;
  readonly state?: string;
  readonly output: Format;
  readonly metrics?: boolean;
}

export async function status({ output, metrics, ...named }: StatusOptions): Promise<number> {
  if (metrics && output !== 'text')
    throw new UsageError('Metrics have a form of their own: leave out --metrics, or -o');
  const endpoint = findEndpoint(named);
  if (metrics) {
    process.stdout.write(await askMetrics(endpoint));
    return 0;
  }
  const found = await askStatus(endpoint);
  const tables = output === 'wide' ? describeWideTables(found) : '';
  await print(output, found, () => `${paintNames(describeStatus(found, Date.now()))}${tables}`);
  return found.ready ? 0 : 1;
}
