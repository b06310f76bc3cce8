/** Prints a result in the form that the person chose: words for people, JSON or YAML for programs. */
import type { Format } from './verb.ts';

/** `describe` makes the text for people. */
export async function print(format: Format, value: unknown, describe: () => string): Promise<void> {
  process.stdout.write(await render(format, value, describe));
}

async function render(format: Format, value: unknown, describe: () => string): Promise<string> {
  switch (format) {
    case 'json':
      return `${JSON.stringify(value, null, 2)}\n`;
    case 'yaml': {
      const { stringify } = await import('yaml');
      return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
    }
    default:
      return describe();
  }
}
