/**
 * Compiles what a start loads, so that the first one is as quick as all others: into the folder that NODE_COMPILE_CACHE
 * names, or where the launcher looks. Node keeps such a cache by content, so that nothing stale is ever used.
 */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

enableCompileCache(
  process.env['NODE_COMPILE_CACHE'] ??
    fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url)),
);
// Processes that are told what to do, and nobody tells them: they end at once.
for (const part of [
  './run.ts',
  './relay.ts',
  '../relay/listener/main.ts',
  '../relay/router/main.ts',
  '../operator/main.ts',
])
  await import(part);
process.argv.push('version');
await import('./main.ts');
