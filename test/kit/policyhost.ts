/**
 * A policy host of MTA-STS (RFC 8461 section 3.3): a real HTTPS server on port 443. It answers for each domain as the
 * test says, and shows a separate certificate for each domain, by SNI.
 */
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Pair } from './ca.ts';

export interface PolicyAnswer {
  readonly pair: Pair;
  /** The text of a policy, or a function that gives any answer. */
  readonly answer: string | ((response: ServerResponse) => void);
}

/** The lines of a policy. */
export function policyText(mode: string, mx: readonly string[], maxAge = 604_800): string {
  const lines = ['version: STSv1', `mode: ${mode}`, ...mx.map((one) => `mx: ${one}`), `max_age: ${maxAge}`];
  return `${lines.join('\r\n')}\r\n`;
}

export class PolicyHost {
  readonly #server: Server;
  /** The domain of each request, in order. */
  readonly asked: string[] = [];

  private constructor(answers: Readonly<Record<string, PolicyAnswer>>) {
    const contexts = new Map<string, SecureContext>();
    this.#server = createServer({
      SNICallback: (name, done) => {
        const pair = answers[domainOf(name)]?.pair;
        const context = contexts.get(name) ?? createSecureContext(pair);
        contexts.set(name, context);
        done(null, context);
      },
    });
    this.#server.on('request', ({ headers, url }, response) => {
      const domain = domainOf(headers.host ?? '');
      this.asked.push(domain);
      const answer = answers[domain]?.answer;
      if (answer === undefined || url !== '/.well-known/mta-sts.txt') response.writeHead(404).end();
      else if (typeof answer === 'string') response.setHeader('content-type', 'text/plain').end(answer);
      else answer(response);
    });
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(answers: Readonly<Record<string, PolicyAnswer>>, host: string): Promise<PolicyHost> {
    const policyHost = new PolicyHost(answers);
    await new Promise<void>((resolve) => policyHost.#server.listen(443, host, resolve));
    return policyHost;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function domainOf(host: string): string {
  return host.replace(/^mta-sts\./, '');
}
