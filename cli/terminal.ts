/** Formats values for a person at a terminal. Pure. */
import { visible } from '#crds/visible.ts';

export { visible };

/** The time between two moments, in the largest unit that is exact enough. */
export function age(from: number, to: number): string {
  const seconds = Math.max(0, Math.round((to - from) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 2 * 3600) return `${Math.round(seconds / 60)}m`;
  return seconds < 2 * 86_400 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86_400)}d`;
}

/** In the notation of the manifest, such as 1h30m. */
export function showDuration(seconds: number): string {
  const units = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const parts = units.flatMap(([count, unit]) => (count > 0 ? [`${count}${unit}`] : []));
  return parts.length > 0 ? parts.join('') : '0s';
}

/** One line of a report: a name, then a text. A note is a line without a name; it belongs to the row above. */
export function row(name: string, text: string): string {
  return `${name.padEnd(13)} ${visible(text)}`;
}

export function note(text: string): string {
  return row('', text);
}

/** A word of a command line that a person pastes into a shell. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Columns as wide as their longest value; the last one is not filled up. */
export function describeTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((value, column) => visible(value).padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return `${rows.map(line).join('\n')}\n`;
}
