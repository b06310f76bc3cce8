/**
 * Loads the configuration of the client. An error is one sentence that names the option and the cure, so that an
 * operator that is started by hand says at once what is wrong.
 */
import { accessSync, constants } from 'node:fs';
import { describeSystemError } from '#crds/systemwords.ts';
import { KubeConfig } from './clientnode.ts';

/** What the client takes where it finds no configuration. */
const NOWHERE = 'http://localhost:8080';

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
    throw new Error(
      `${source} cannot be used: ${file}${describeYamlFault(error) ?? describeSystemError(error)}: ${cure}`,
    );
  }
  const { server = '', skipTLSVerify = false } = config.getCurrentCluster() ?? {};
  if (kubeconfig === undefined && server === NOWHERE)
    throw new Error('There is no kubeconfig: name one by --kubeconfig FILE, or by the variable KUBECONFIG');
  if (!URL.canParse(server))
    throw new Error(`${source} has no address of an API server for its current-context: ${cure}`);
  // The client refuses each request.
  if (new URL(server).protocol === 'http:' && !skipTLSVerify)
    throw new Error(`${source} names an API server without TLS, by http: ${cure}`);
  return config;
}

/** Without an excerpt of the file, which may have a secret. Undefined: it is another error. */
function describeYamlFault(error: unknown): string | undefined {
  const { name, mark } = error as Error & { mark?: { readonly line: number; readonly column: number } };
  if (name !== 'YAMLException') return undefined;
  return mark ? `it is no YAML, at line ${mark.line + 1}, column ${mark.column + 1}` : 'it is empty';
}

/** Throws if a file that the configuration names cannot be read. Without this check each request would fail. */
function checkFiles(config: KubeConfig): void {
  const [cluster, user] = [config.getCurrentCluster(), config.getCurrentUser()];
  for (const file of [cluster?.caFile, user?.certFile, user?.keyFile])
    if (file !== undefined) accessSync(file, constants.R_OK);
}
