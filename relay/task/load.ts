/**
 * Loads a package when it is needed: some bring many modules along, and most relays never need them. Not by `import`: what fails
 * there once (too many open files) fails for as long as the process lives.
 */
import { createRequire } from 'node:module';

export const load: (name: string) => unknown = createRequire(import.meta.url);
