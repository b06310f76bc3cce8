/**
 * The table of faults in docs/on-call.md, which the suite writes: what is wrong, what "kubectl get mr" shows, the one
 * command that tells more, and what it says. What is different each time is left out. Pure.
 */
import { COMMANDS, type Command } from './commands.ts';
import type { Fault } from './fault.ts';

export interface Seen {
  /** Title and row of "kubectl get mr". */
  readonly got: string;
  /** What the command said. */
  readonly said: string;
}

const HEAD = `# What an on-call person sees

<!-- Written by test/cluster/8-oncall.test.ts in "make soak": do not edit. -->

Each of these faults was planted on a real cluster. The table has the columns of \`kubectl get mr\` with it. PROBLEMS is
empty where the relay itself is well: where one client or recipient is refused, and where an edit waits. The command is
the first one that tells cause and cure, in this order:

${Object.values(COMMANDS)
  .map((command, index) => `${index + 1}. \`${command}\``)
  .join('\n')}

\`kubectl describe\` shows the events too. [conditions.md](conditions.md) has all reasons with their cures.
`;

const TITLE =
  '| what is wrong | READY | REASON | PROBLEMS | command | what it says |\n| --- | --- | --- | --- | --- | --- |';

/** One line for each fault, in their order; what was not planted this time keeps the line of the page before. */
export function renderPage(faults: readonly Fault[], seen: ReadonlyMap<Fault, Seen>, before: string): string {
  const lines = faults.flatMap((fault) => {
    const found = seen.get(fault);
    return found ? line(fault, found) : (before.split('\n').find((old) => isLineOf(old, fault)) ?? []);
  });
  return `${HEAD}\n${TITLE}\n${lines.join('\n')}\n`;
}

function line(fault: Fault, { got, said }: Seen): string {
  const columns = ['READY', 'REASON', 'PROBLEMS'].map((column) => cell(got, column));
  return `| ${[fault.what, ...columns, `\`${COMMANDS[fault.command]}\``, saying(said, fault)].join(' | ')} |`;
}

/** By the place of the title, because an empty cell is blank. */
function cell(got: string, column: string): string {
  const [title = '', row = ''] = got.split('\n');
  const begin = title.indexOf(column);
  const next = title.slice(begin).search(/ [A-Z]/);
  return row
    .slice(begin, next === -1 ? undefined : begin + next)
    .trim()
    .replaceAll(',', ', ');
}

function saying(said: string, fault: Fault): string {
  return [quote(said, fault), ...(fault.means === undefined ? [] : [`(${fault.means})`])]
    .join(' ')
    .replace(/^ *Message: +/, '')
    .replaceAll(/"(time|id|seconds)":("[^"]*"|[\d.]+),?/g, '')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/\b(?!0\.)\d{1,3}(\.\d{1,3}){3}\b(?!\/)/g, 'ADDRESS')
    .replaceAll(/\bADDRESS:\d{5}\b/g, 'ADDRESS:PORT')
    .replaceAll(/\s+/g, ' ')
    .replaceAll('|', '\\|')
    .trim();
}

/** Whole sentences: the lines that a fault is told by, or of a wide row the cause in its message. */
function quote(said: string, { shows, command, means }: Fault): string {
  const found = shows.exec(said);
  if (!found) return '';
  const begin = said.lastIndexOf('\n', found.index) + 1;
  const lines = said.slice(begin, `${said}\n`.indexOf('\n', found.index + found[0].length));
  if (command !== 'wide' || means !== undefined) return lines;
  const message = lines.slice(said.indexOf('MESSAGE'));
  return message.split('; also ').find((cause) => shows.test(cause)) ?? message;
}

/** True for the line of a fault that names the command by which it is told. */
export function isLineOf(text: string, { what, command }: Fault): boolean {
  return text.startsWith(`| ${what} |`) && text.includes(`| \`${COMMANDS[command]}\` |`);
}

export function commandsBefore(command: Command): Command[] {
  const all = Object.keys(COMMANDS) as Command[];
  return all.slice(0, all.indexOf(command));
}
