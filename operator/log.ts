/** One JSON line per decision on standard output; values are escaped by JSON, so a line is always one line. */
type Value = string | number | boolean | undefined;

export type Log = (event: string, fields?: Readonly<Record<string, Value>>) => void;

export const logLine: Log = (event, fields = {}) => {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
};
