/**
 * A queue over a real spool, with a courier whose answers the test gives: it tests the decisions of the queue without
 * SMTP. Domains that begin with "mx" go by MX, and each is its own destination. All others go to hops of the spec, one
 * for each domain.
 */
import { type Failure, makeFailure } from '#crds/failure.ts';
import type { DestinationLimits, Policy, Provider, Retry } from '#crds/policyfile.ts';
import type { AttemptResult, Courier, Destination, FoundProvider, Parcel } from '#relay/delivery/courier.ts';
import type { Signer } from '#relay/dkim/signer.ts';
import { QueueManager } from '#relay/queue/manager.ts';
import { newQueueId, type Recipient } from '#relay/spool/record.ts';
import { Spool } from '#relay/spool/spool.ts';
import { NO_LOGINS } from '#relay/task/messages.ts';
import { hopTo, podDirs, policyOf } from './relayrig.ts';

type Told = AttemptResult | Promise<AttemptResult>;
export type AnswerFor = (destination: Destination, parcel: Parcel) => Told;

export const NOBODY: AttemptResult = {
  kind: 'unreachable',
  failure: makeFailure({ cause: 'connect', status: '4.4.1', text: 'nobody there' }),
  hadSession: false,
};

/** A recipient that was never tried. */
export const queued = (address: string): Recipient => ({ address, state: 'queued' });

/** Of a recipient. */
export const greylisted = makeFailure({
  cause: 'reply',
  status: '4.7.1',
  text: '451 4.7.1 later',
  command: 'RCPT TO',
});

/** The answer of a hop to each recipient; undefined: the hop takes it. */
export function answers(
  { to }: Parcel,
  refusal: (address: string) => Failure | undefined = () => undefined,
): AttemptResult {
  const verdicts = to.map((address) => {
    const failure = refusal(address);
    return failure
      ? ({ kind: 'failed', failure } as const)
      : ({ kind: 'delivered', reply: '250 ok' } as const);
  });
  return { kind: 'answered', hop: 'hop:25', verdicts, tls: null, tellsSender: false, passedOver: [] };
}

export class QueueRig {
  readonly #dirs = podDirs();
  readonly spool = new Spool(this.#dirs.stateDir);
  readonly events: { event: string; fields: Record<string, unknown> }[] = [];
  /** The time of both clocks. */
  now = Date.now();
  /** How far the wall clock was stepped. */
  stepped = 0;
  /** Another value gives every destination another key, as a policy with other hosts does. */
  routes = '';
  /** Of destinations by domain, as routes give them. */
  limits: Readonly<Record<string, DestinationLimits>> = {};
  /** The same for retries. */
  retry: Readonly<Record<string, Retry>> = {};
  /** By domain. Undefined: no look-up at all. */
  providers: Readonly<Record<string, Provider>> | undefined;
  sign: Signer = async () => ({ kind: 'header', header: null });
  #manager: QueueManager | undefined;

  get manager(): QueueManager {
    if (!this.#manager) throw new Error('begin a queue first');
    return this.#manager;
  }

  /** Starts a queue manager as a new process would. The manager before it has ended. */
  begin(answer: AnswerFor, policy: Policy = policyOf()): QueueManager {
    this.#manager = new QueueManager({
      policy,
      spool: this.spool,
      courier: courierWith(answer, this),
      signer: (...message) => this.sign(...message),
      log: (event, fields = {}) => this.events.push({ event, fields }),
      clock: () => this.now,
      wall: () => this.now + this.stepped,
      random: () => 0.5,
    });
    return this.#manager;
  }

  /** Puts a message into the spool without telling the queue. */
  async enter(from: string, to: readonly string[], receivedAt = this.now): Promise<string> {
    const id = newQueueId(receivedAt);
    const recipients = to.map(queued);
    const envelope = { from, recipients, receivedAt, smtpUtf8: false, eightBit: false };
    await this.spool.enter(id, envelope, {
      kind: 'inline',
      bytes: Buffer.from('Subject: s\r\n\r\nbody\r\n'),
    });
    return id;
  }

  /** How often this event was logged. */
  count(event: string): number {
    return this.events.filter((one) => one.event === event).length;
  }

  async remove(): Promise<void> {
    await this.#manager?.drain(0);
    await this.spool.close();
    this.#dirs.remove();
  }
}

type Ways = Readonly<Pick<QueueRig, 'routes' | 'limits' | 'retry' | 'providers'>>;

function courierWith(answer: AnswerFor, { routes, limits, retry, providers }: Ways): Courier {
  return {
    route: (_, to) => {
      const domain = to.slice(to.lastIndexOf('@') + 1);
      const own = {
        ...(limits[domain] ? { limits: limits[domain] } : {}),
        ...(retry[domain] ? { retry: retry[domain] } : {}),
      };
      const common = { key: `${routes}${domain}`, name: domain, rule: 'a route', ...own };
      return domain.startsWith('mx')
        ? {
            ...common,
            kind: 'mx',
            domain,
            tlsLevel: 'Opportunistic',
            minTlsVersion: 'TLSv1.2',
            sourceAddresses: [],
            socksProxy: null,
          }
        : { ...common, kind: 'hops', hops: [hopTo(25, { host: domain })] };
    },
    ...(providers ? { findProvider: async ({ name }) => foundIn(providers[name]) } : {}),
    deliver: async (destination, parcel) => answer(destination, parcel),
    logins: NO_LOGINS,
    useMaterials: () => () => true,
    close: () => undefined,
  };
}

function foundIn(provider: Provider | undefined): FoundProvider {
  return provider ? { kind: 'provider', provider } : { kind: 'none' };
}
