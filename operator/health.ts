/**
 * Health and metrics of the operator over plain HTTP. The operator is ready if the caches are complete, and RBAC
 * forbids neither to watch nor to write. If the metrics cannot be read the answer is 500, and the process goes on.
 */
import { createServer, type Server } from 'node:http';

export interface HealthSource {
  /** The reason why the operator is not ready; undefined if it is. */
  readonly trouble: () => string | undefined;
  readonly metrics: () => Promise<string>;
}

export function startHealth(port: number, source: HealthSource): Promise<Server> {
  const server = createServer(async (request, response) => {
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        response.end('ok\n');
        break;
      case '/readyz':
        response.writeHead(source.trouble() === undefined ? 200 : 503).end(`${source.trouble() ?? 'ok'}\n`);
        break;
      case '/metrics':
        await source.metrics().then(
          (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
          (error: Error) => response.writeHead(500).end(`${error.message}\n`),
        );
        break;
      default:
        response.writeHead(404).end('try /healthz, /readyz or /metrics\n');
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new Error(`Cannot serve health on port ${port} (${error.code}): choose another by --health-port`),
      );
    });
    server.listen(port, () => resolve(server));
  });
}
