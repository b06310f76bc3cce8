/** Styles in the output. They are for a terminal only, and there not with NO_COLOR; FORCE_COLOR wants them elsewhere. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream });
}

/** The names of the rows that terminal.ts makes: what begins a line, up to two spaces or to the column of the texts. */
export function paintNames(text: string): string {
  return text.replace(/^\S(?: ?\S){0,12}(?= )/gm, (name) => paint('bold', name));
}
