/**
 * Loads the configuration of the client. An error is one sentence that names the option and the cure, so that an
 * operator that is started by hand says at once what is wrong.
 */
import { accessSync, constants } from 'node:fs';
import { describeSystemError } from '#crds/systemwords.ts';
import { KubeConfig } from './clientnode.ts';

/** From a file, the ServiceAccount of the pod, or the usual places. */
export function loadConfig(kubeconfig: string | undefined): KubeConfig {
  const config = new KubeConfig();
  const [source, cure] =
    kubeconfig === undefined
      ? ['The kubeconfig', 'correct it, or name another one by --kubeconfig']
      : [`--kubeconfig "${kubeconfig}"`, 'correct it, or name another file'];
  try {
    if (kubeconfig !== undefined) config.loadFromFile(kubeconfig);
    else config.loadFromDefault();
    checkFiles(config);
  } catch (error) {
    const { path } = error as NodeJS.ErrnoException;
    const file = path === undefined || path === kubeconfig ? '' : `"${path}": `;
    // The YAML library adds an excerpt of the file, which may have a secret.
    const [text] = describeSystemError(error).split('\n');
    throw new Error(`${source} cannot be used: ${file}${text}: ${cure}`);
  }
  if (!URL.canParse(config.getCurrentCluster()?.server ?? ''))
    throw new Error(`${source} has no address of an API server for its current-context: ${cure}`);
  return config;
}

/** Throws if a file that the configuration names cannot be read. Without this check each request would fail. */
function checkFiles(config: KubeConfig): void {
  const [cluster, user] = [config.getCurrentCluster(), config.getCurrentUser()];
  for (const file of [cluster?.caFile, user?.certFile, user?.keyFile])
    if (file !== undefined) accessSync(file, constants.R_OK);
}
