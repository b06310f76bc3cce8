/** Writes one JSON line for each decision to standard output. What a terminal would obey is an escape, as are line breaks. */
import { escapeUnseen } from '#crds/visible.ts';

type Value = string | number | boolean | undefined;

export type Log = (event: string, fields?: Readonly<Record<string, Value>>) => void;

export const logLine: Log = (event, fields = {}) => {
  process.stdout.write(
    `${escapeUnseen(JSON.stringify({ time: new Date().toISOString(), event, ...fields }))}\n`,
  );
};
