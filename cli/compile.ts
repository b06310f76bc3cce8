/**
 * Fills the compile cache of Node with the code that a start loads, so that the first start is as quick as all others.
 * The cache is the folder that NODE_COMPILE_CACHE names, else the one that the launcher uses. Node looks up a cache
 * entry by the content of the source, so it never uses a stale one.
 */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

enableCompileCache(
  process.env['NODE_COMPILE_CACHE'] ??
    fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url)),
);
// The task processes wait for orders of a parent. Here they have no parent, so they end at once.
for (const part of [
  './run.ts',
  './relay.ts',
  './verbs/run.ts',
  './verbs/relay.ts',
  './verbs/operator.ts',
  '../relay/listener/main.ts',
  '../relay/router/main.ts',
  '../operator/main.ts',
])
  await import(part);
process.argv.push('version');
await import('./main.ts');
