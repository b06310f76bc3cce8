/** The process of a listener task: its program, and the flags that its memory needs. */
import { fileURLToPath } from 'node:url';
import type { FromListener, ToListener } from '../task/messages.ts';
import { TaskProcess, type TaskTerms } from '../task/process.ts';

const ENTRY = fileURLToPath(new URL('../listener/main.ts', import.meta.url));
/**
 * The heap may grow to three times its live size. Buffers outside the heap count too. With V8's default, every 10 MiB
 * of buffers start a full collection, which costs a tenth of all CPU time under large messages.
 */
const ROOM_TO_GROW = '--heap-growing-percent=200';

export function forkListener(
  terms: Omit<TaskTerms<FromListener>, 'entry' | 'flags'>,
): TaskProcess<ToListener, FromListener> {
  return new TaskProcess({ ...terms, entry: ENTRY, flags: [ROOM_TO_GROW] });
}
