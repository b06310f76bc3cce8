/**
 * The parts of client-node that this project uses. The package has one index that loads a class for each type and each call of
 * the Kubernetes API: a thousand files that nobody uses here. While the package is loaded, a short index takes the place of
 * that one. An operator starts in half the time and with 50 MiB less, and the image leaves those files out. If a later
 * version of the package wants more of its index, the start fails and names the missing export: add it to the short index.
 */
import { registerHooks } from 'node:module';

const WHOLE_INDEX = import.meta.resolve('@kubernetes/client-node/dist/gen/index.js');
const SHORT_INDEX = new URL('clientnodeindex.ts', import.meta.url).href;

const hooks = registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    return found.url === WHOLE_INDEX ? { ...found, url: SHORT_INDEX, format: 'module-typescript' } : found;
  },
});

export type KubeConfig = import('@kubernetes/client-node').KubeConfig;
export const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
export const { HttpMethod, RequestContext } = await import('@kubernetes/client-node/dist/gen/http/http.js');

hooks.deregister();
