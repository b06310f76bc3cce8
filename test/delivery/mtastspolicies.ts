/** What the policy hosts of mtasts.story.ts answer: policies, and what is none. */
import type { ServerResponse } from 'node:http';
import { type PolicyAnswer, policyText } from '#test/kit/policyhost.ts';

export const GOOD = policyText('enforce', ['mx.good.example']);

const text = (response: ServerResponse, type = 'text/plain') => response.setHeader('content-type', type);

/** What each domain does in place of answering with a policy, and what is said of it. */
export const BAD: Readonly<Record<string, [PolicyAnswer['answer'], RegExp]>> = {
  missing: [(response) => response.writeHead(404).end(), /sts-policy-fetch-error .*HTTP status 404/],
  redirect: [
    (response) =>
      response.writeHead(301, { location: 'https://mta-sts.good.example/.well-known/mta-sts.txt' }).end(),
    /sts-policy-fetch-error .*HTTP status 301/,
  ],
  nothing: [(response) => response.writeHead(204).end(), /sts-policy-fetch-error .*HTTP status 204/],
  page: [(response) => text(response, 'text/html').end(GOOD), /sts-policy-invalid .*media type/],
  typeless: [(response) => response.end(GOOD), /sts-policy-invalid .*media type/],
  content: [(response) => text(response).end('hello'), /sts-policy-invalid .*version/],
  large: [(response) => text(response).end(GOOD + 'x'.repeat(10_000_000)), /sts-policy-fetch-error .*64 KiB/],
  endless: [(response) => flood(text(response)), /sts-policy-fetch-error .*64 KiB/],
  short: [(response) => cut(text(response)), /sts-policy-fetch-error .*too early/],
  lengthless: [
    ({ socket }) => socket?.end(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n${GOOD}`),
    /sts-policy-fetch-error .*no length/,
  ],
  silent: [() => undefined, /sts-policy-fetch-error .*too long/],
  drip: [(response) => drip(text(response)), /sts-policy-fetch-error .*took too long/],
  headers: [
    (response) => response.setHeader('x-long', 'x'.repeat(60_000)).end(GOOD),
    /sts-policy-fetch-error .*Header overflow/,
  ],
};

function flood(response: ServerResponse): void {
  while (!response.destroyed && response.write('x'.repeat(16_384)));
  if (!response.destroyed) response.once('drain', () => flood(response));
}

function cut(response: ServerResponse): void {
  response.setHeader('content-length', '1000').write(GOOD);
  response.once('finish', () => undefined);
  setImmediate(() => response.destroy());
}

function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write('#'), 20);
  response.once('close', () => clearInterval(timer));
}

/** The policies of the domains below, by name. */
export const POLICIES: Readonly<Record<string, string>> = {
  good: GOOD,
  second: GOOD,
  stray: policyText('enforce', ['mx.good.example', '*.other.example']),
  half: policyText('enforce', ['mx.half.example', '*.good.example']),
  wild: policyText('enforce', ['*.wild.example']),
  self: policyText('enforce', ['mx.self.example']),
  renamed: policyText('enforce', ['mx.renamed.example']),
  stripped: policyText('enforce', ['mx.stripped.example']),
  kept: policyText('enforce', ['mx.kept.example']),
  tested: policyText('testing', ['mx.other.example']),
  proven: policyText('testing', ['*.proven.example']),
  ended: policyText('none', []),
};
