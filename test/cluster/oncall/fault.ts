/**
 * A fault as a value: what is planted, and where a person on call reads its cause and its cure. The commands are in the
 * order in which that person tries them.
 */
import type { Command } from './commands.ts';
import type { Site, Terms } from './site.ts';

export interface Fault extends Terms {
  /** What is wrong, as a row of the table has it. */
  readonly what: string;
  /** In "make test" too, and not in "make soak" alone. */
  readonly isQuick?: true;
  /** Before its MailRelay is made. */
  readonly prepare?: (site: Site) => Promise<unknown> | unknown;
  /** As soon as it is Ready. */
  readonly plant?: (site: Site) => Promise<unknown> | unknown;
  /** What other faults would feel goes back at once. */
  readonly heal?: (site: Site) => Promise<unknown> | unknown;
  /** The row of "kubectl get mr". */
  readonly row: RegExp;
  /** The first command that tells cause and cure, and the line that does. */
  readonly command: Command;
  readonly shows: RegExp;
  /** What the columns mean, where no sentence says it. */
  readonly means?: string;
}
