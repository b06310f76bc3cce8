/** Writes one JSON line for each decision to standard output. JSON escapes line breaks in values. */
type Value = string | number | boolean | undefined;

export type Log = (event: string, fields?: Readonly<Record<string, Value>>) => void;

export const logLine: Log = (event, fields = {}) => {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
};
