/** The exports that client-node's configuration takes from the index of the package: see `clientnode.ts`. */
export { createConfiguration } from '@kubernetes/client-node/dist/gen/configuration.js';
export { ServerConfiguration } from '@kubernetes/client-node/dist/gen/servers.js';
