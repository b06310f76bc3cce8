/**
 * The policy host of MTA-STS as the supervisor sees it: what it serves now, and the process that serves it
 * (relay/policyhost). Without a usable pair connections are cut off. The status says for which names senders can get
 * which policy, because DNS may announce only what every pod serves.
 */
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { identifyStsPolicy } from '#crds/effectivedns.ts';
import { type Coverage, readCoverage } from '#crds/keypair.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import type { Counted, FromPolicyHost, PairText, ServedPolicy, ToPolicyHost } from '../task/messages.ts';
import { TaskOnDemand } from './ondemand.ts';

const ENTRY = fileURLToPath(new URL('../policyhost/main.ts', import.meta.url));

interface PolicyHostDeps {
  readonly stateDir: string;
  readonly logFd: number;
  readonly log: Log;
  readonly onCounts: (counted: Counted) => void;
  readonly onChange: () => void;
}

export class PolicyHost {
  readonly #task: TaskOnDemand<ToPolicyHost, FromPolicyHost>;
  #policy: Policy['policyHost'] = null;
  #pair: PairText | null = null;
  #coverage: Coverage | undefined;

  constructor({ stateDir, onCounts, ...deps }: PolicyHostDeps) {
    this.#task = new TaskOnDemand<ToPolicyHost, FromPolicyHost>({
      ...deps,
      name: 'policy host',
      entry: ENTRY,
      configure: () => {
        const served = this.#served();
        return served && { kind: 'configure', stateDir, served };
      },
      onMessage: onCounts,
    });
  }

  /** Null: this relay is no policy host. */
  usePolicy(policy: Policy['policyHost']): void {
    this.#policy = policy;
    this.#tell();
  }

  usePair(pair: PairText | null): void {
    if (this.#pair?.cert === pair?.cert && this.#pair?.key === pair?.key) return;
    this.#pair = pair;
    this.#tell();
  }

  accept(socket: Socket): void {
    void this.#task.accept(socket);
  }

  stop(): Promise<void> {
    return this.#task.stop();
  }

  /** The policy that senders can get at this time, and under which names. Null: none. */
  describe(now: Date): NonNullable<PodStatus['servedPolicy']> | null {
    const served = this.#served();
    const coverage = this.#coverage;
    if (!served || !coverage || now < coverage.notBefore || now > coverage.notAfter) return null;
    return { id: identifyStsPolicy(served.text), hosts: [...coverage.hosts] };
  }

  #served(): ServedPolicy | undefined {
    if (!this.#policy || !this.#pair) return undefined;
    const { hosts, text } = this.#policy;
    return { hosts, text, pair: this.#pair };
  }

  #tell(): void {
    const served = this.#served();
    this.#coverage = served && readCoverage(served.pair.cert, served.hosts);
    if (served) this.#task.tell({ kind: 'serve', served });
    else this.#task.drain();
  }
}
