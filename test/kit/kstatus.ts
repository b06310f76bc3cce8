/**
 * How Helm, Flux and others judge an object, by the rules of kstatus. `test/chart/health.test.ts` holds them against the
 * library of Flux.
 */
export type Verdict = 'Terminating' | 'InProgress' | 'Failed' | 'Current';

const DECIDING: readonly string[] = ['Reconciling', 'Stalled'];

export interface Judgeable {
  readonly metadata: { readonly generation: number; readonly deletionTimestamp?: string };
  readonly status?:
    | {
        readonly observedGeneration?: number | undefined;
        readonly conditions?: readonly { readonly type: string; readonly status: string }[] | undefined;
      }
    | undefined;
}

/**
 * The checks are in the order of the library. Of Reconciling and Stalled the first one in the list decides. A missing Ready means
 * Current, and Ready=False never means Failed.
 */
export function kstatus({ metadata, status }: Judgeable): Verdict {
  if (metadata.deletionTimestamp) return 'Terminating';
  const is = (type: string) => status?.conditions?.find((condition) => condition.type === type)?.status;
  if (status?.observedGeneration !== undefined && status.observedGeneration !== metadata.generation)
    return 'InProgress';
  const first = status?.conditions?.find((one) => DECIDING.includes(one.type) && one.status === 'True');
  if (first) return first.type === 'Stalled' ? 'Failed' : 'InProgress';
  return is('Ready') === 'False' || is('Ready') === 'Unknown' ? 'InProgress' : 'Current';
}
