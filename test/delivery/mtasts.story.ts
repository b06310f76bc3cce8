/** The story of mtasts.test.ts: DNS on port 53, policy hosts on port 443, nothing else in the network. */
import assert from 'node:assert/strict';
import { lookup, resolveTxt } from 'node:dns/promises';
import type { ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { type Fetched, fetchPolicy } from '#relay/mtasts/fetch.ts';
import { type Authority, makeAuthority, makePair, type Pair } from '#test/kit/ca.ts';
import { NameServer, type Names } from '#test/kit/nameserver.ts';
import { type PolicyAnswer, PolicyHost, policyText } from '#test/kit/policyhost.ts';

const HOST = '192.0.2.1';
const GOOD = policyText('enforce', ['mx.good.example']);

let names: NameServer;
let host: PolicyHost;
let authority: Authority;
const answers: Record<string, PolicyAnswer> = {};

const text = (response: ServerResponse, type = 'text/plain') => response.setHeader('content-type', type);

/** What each domain does in place of answering with a policy, and what is said of it. */
const BAD: Readonly<Record<string, [PolicyAnswer['answer'], RegExp]>> = {
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

const FOUND = { A: [HOST] };
const NAMES: Names = {
  ...Object.fromEntries(
    ['good', 'nameless', 'expired', 'stranger', 'self', 'below', ...Object.keys(BAD)].map((name) => [
      `mta-sts.${name}.example`,
      FOUND,
    ]),
  ),
  'mta-sts.refused.example': { A: ['192.0.2.9'] },
  'mta-sts.second.example': { A: ['192.0.2.9', HOST] },
  '_mta-sts.good.example': { TXT: ['v=STSv1; id=1;'] },
};

before(async () => {
  names = await NameServer.start(NAMES);
  authority = await makeAuthority();
  const issue = (...of: string[]) => authority.issue(of);
  for (const domain of ['good', 'second'])
    answers[`${domain}.example`] = { pair: await issue(`mta-sts.${domain}.example`), answer: GOOD };
  for (const [domain, [answer]] of Object.entries(BAD))
    answers[`${domain}.example`] = { pair: await issue(`mta-sts.${domain}.example`), answer };
  answers['nameless.example'] = { pair: await issue('mta-sts.other.example'), answer: GOOD };
  answers['below.example'] = { pair: await issue('*.example'), answer: GOOD };
  answers['expired.example'] = {
    pair: await authority.issue(['mta-sts.expired.example'], { from: -20, until: -1 }),
    answer: GOOD,
  };
  const stranger = await makeAuthority('another CA');
  answers['stranger.example'] = { pair: await stranger.issue(['mta-sts.stranger.example']), answer: GOOD };
  answers['self.example'] = { pair: (await makePair('mta-sts.self.example')) as Pair, answer: GOOD };
  host = await PolicyHost.start(answers, HOST);
});

after(() => {
  host?.stop();
  names?.stop();
});

function fetchFrom(domain: string, ms = 5_000): Promise<Fetched> {
  return fetchPolicy(domain, {
    lookUp: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
    context: createSecureContext({ ca: [authority.cert] }),
    signal: AbortSignal.timeout(ms),
  });
}

async function fails(domain: string, why: RegExp, ms?: number): Promise<void> {
  const fetched = await fetchFrom(domain, ms);
  assert.equal(fetched.kind, 'failed');
  const { cause, text: reason, permanent } = fetched.failure;
  assert.match(`${cause} ${reason}`, why);
  assert.match(reason, new RegExp(`https://mta-sts\\.${domain}/\\.well-known/mta-sts\\.txt`));
  assert.equal(permanent, false);
}

test('a policy is fetched from the policy host, at another address where the first one is dead', async () => {
  const policy = { mode: 'enforce', mxPatterns: ['mx.good.example'], maxAgeSeconds: 604_800 };
  assert.deepEqual(await fetchFrom('good.example'), { kind: 'policy', policy });
  assert.deepEqual(await fetchFrom('second.example'), { kind: 'policy', policy });
  assert.deepEqual(await resolveTxt('_mta-sts.good.example'), [['v=STSv1; id=1;']]);
});

test('an answer that is no policy is none, and takes no more time and memory than the limits', async () => {
  const begin = process.memoryUsage().rss;
  for (const [domain, [, why]] of Object.entries(BAD))
    await fails(`${domain}.example`, why, ['silent', 'drip'].includes(domain) ? 300 : 5_000);
  assert.ok(process.memoryUsage().rss - begin < 200 * 1024 * 1024);
});

test('the certificate of the policy host must be right', async () => {
  await fails('nameless.example', /^sts-webpki-invalid .*another name/);
  await fails('below.example', /^sts-webpki-invalid .*another name/);
  await fails('expired.example', /^sts-webpki-invalid .*expired/);
  await fails('stranger.example', /^sts-webpki-invalid /);
  await fails('self.example', /^sts-webpki-invalid /);
  assert.ok(!host.asked.some((domain) => /nameless|below|expired|stranger|self/.test(domain)));
});

test('a policy host that is not there fails', async () => {
  await fails('refused.example', /^sts-policy-fetch-error /);
  await fails('unknown.example', /^sts-policy-fetch-error .*ENOTFOUND/);
});
