import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { Client } from './client.ts';
import { isKubeError } from './errors.ts';

const CUT: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'ends in the middle': (response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{"kind":', () => response.destroy());
  },
  'is no JSON': (response) => void response.end('<html>'),
};

for (const [what, answer] of Object.entries(CUT)) {
  test(`an answer that ${what} is a KubeError, as every failure`, async (t) => {
    const server = createServer((_, response) => answer(response));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    t.after(() => server.close());
    const config = new KubeConfig();
    const { port } = server.address() as AddressInfo;
    const cluster = { name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true };
    config.loadFromClusterAndUser(cluster, { name: 'test' });
    const client = new Client(config, () => undefined);
    await assert.rejects(client.request({ method: 'GET', path: '/' }), (error) =>
      isKubeError(error, 'unavailable'),
    );
  });
}
