/**
 * Prints a result in the form that the person chose: words for people, JSON or YAML for programs. What a terminal would obey
 * stands in JSON and YAML as an escape.
 */
import { escapeUnseen } from '#crds/visible.ts';
import type { Format } from './verb.ts';

/** `describe` makes the text for people. */
export async function print(format: Format, value: unknown, describe: () => string): Promise<void> {
  process.stdout.write(await render(format, value, describe));
}

async function render(format: Format, value: unknown, describe: () => string): Promise<string> {
  switch (format) {
    case 'json':
      return `${formatJson(value, 2)}\n`;
    case 'yaml':
      return formatYaml(value);
    default:
      return describe();
  }
}

export function formatJson(value: unknown, indent = 0): string {
  return escapeUnseen(JSON.stringify(value, null, indent));
}

export async function formatYaml(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  const options = { lineWidth: 0, aliasDuplicateObjects: false } as const;
  const text = stringify(value, options);
  if (escapeUnseen(text) === text) return text;
  // Only a text in double quotes can have an escape.
  return escapeUnseen(
    stringify(value, { ...options, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' }),
  );
}
