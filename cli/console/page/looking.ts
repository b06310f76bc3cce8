/** Looks at the relay again and again while a person can see the page. A hidden page asks nothing. */
import { useEffect, useState } from 'preact/hooks';
import type { Look, Sample } from '../api.ts';
import { ask } from './backend.ts';

const HOUR_MS = 3_600_000;
const AGAIN_MS = 2_000;

export interface Seen {
  readonly look: Look | undefined;
  readonly samples: readonly Sample[];
  /** Why the last look failed. */
  readonly problem: string | undefined;
}

export function useLooks(): Seen {
  const [seen, setSeen] = useState<Seen>({ look: undefined, samples: [], problem: undefined });
  useEffect(() => startLooking((change) => setSeen(change)), []);
  return seen;
}

/** Returns a function that ends it. */
function startLooking(tell: (change: (before: Seen) => Seen) => void): () => void {
  let timer: number | undefined;
  let after = 0;
  let isBusy = false;
  let isOver = false;
  const lookOnce = async () => {
    window.clearTimeout(timer);
    if (isBusy || isOver || document.visibilityState === 'hidden') return;
    isBusy = true;
    let everyMs = AGAIN_MS;
    try {
      const look = await ask('look', { after: String(after) });
      after = look.samples.at(-1)?.time ?? after;
      everyMs = look.everyMs;
      tell(({ samples }) => ({ look, samples: extend(samples, look.samples), problem: undefined }));
    } catch (error) {
      tell((before) => ({ ...before, problem: (error as Error).message }));
    }
    isBusy = false;
    if (!isOver) timer = window.setTimeout(lookOnce, everyMs);
  };
  document.addEventListener('visibilitychange', lookOnce);
  lookOnce();
  return () => {
    isOver = true;
    window.clearTimeout(timer);
    document.removeEventListener('visibilitychange', lookOnce);
  };
}

function extend(samples: readonly Sample[], added: readonly Sample[]): readonly Sample[] {
  const last = added.at(-1)?.time ?? 0;
  return added.length === 0 ? samples : [...samples, ...added].filter(({ time }) => time > last - HOUR_MS);
}
