/** How Helm, Flux and others judge an object, by the rules of kstatus (sigs.k8s.io/cli-utils). */
export type Verdict = 'Terminating' | 'InProgress' | 'Failed' | 'Current';

export interface Judgeable {
  readonly metadata: { readonly generation: number; readonly deletionTimestamp?: string };
  readonly status?:
    | {
        readonly observedGeneration?: number | undefined;
        readonly conditions?: readonly { readonly type: string; readonly status: string }[] | undefined;
      }
    | undefined;
}

/** The checks are in the order of the library: a missing Ready means Current, and Ready=False never means Failed. */
export function kstatus({ metadata, status }: Judgeable): Verdict {
  if (metadata.deletionTimestamp) return 'Terminating';
  const is = (type: string) => status?.conditions?.find((condition) => condition.type === type)?.status;
  if (status?.observedGeneration !== undefined && status.observedGeneration !== metadata.generation)
    return 'InProgress';
  if (is('Reconciling') === 'True') return 'InProgress';
  if (is('Stalled') === 'True') return 'Failed';
  return is('Ready') === 'False' || is('Ready') === 'Unknown' ? 'InProgress' : 'Current';
}
