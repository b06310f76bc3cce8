/**
 * The courier of a relay: routes of its policy, attempts hop by hop over SMTP, and the memory of hops that failed a
 * moment ago. The router and, in mode CutThrough, the listener have one each.
 */
import type { Policy } from '#crds/policyfile.ts';
import type { Tracer } from '../observe/trace.ts';
import type { Materials } from '../task/materials.ts';
import type { LoginsRefused } from '../task/messages.ts';
import { attempt, type DeliverToHop } from './attempt.ts';
import type { AttemptResult, Courier, Destination, Parcel } from './courier.ts';
import { FailedHops } from './failedhops.ts';
import { type Route, routeOf } from './route.ts';
import { SmtpClient } from './smtpclient.ts';

/** What speaks to one hop; smtpclient.ts. */
export interface HopClient {
  deliver: DeliverToHop;
  useMaterials(materials: Materials): void;
  close(): void;
}

export interface DeliveryDeps {
  readonly policy: Policy;
  readonly client: HopClient;
  readonly clock: () => number;
  readonly random: () => number;
}

export class Delivery implements Courier {
  readonly #deps: DeliveryDeps;
  readonly #failedHops: FailedHops;
  readonly route: Route;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
    this.#failedHops = new FailedHops(deps.clock);
    this.route = routeOf(deps.policy);
  }

  static overSmtp(policy: Policy, materials: Materials, tracer: Tracer): Delivery {
    const client = new SmtpClient(policy, materials, tracer);
    return new Delivery({ policy, client, clock: Date.now, random: Math.random });
  }

  deliver(destination: Destination, parcel: Parcel): Promise<AttemptResult> {
    const { policy, client, random } = this.#deps;
    const deliverToHop: DeliverToHop = (hop, what) => client.deliver(hop, what);
    return attempt(destination, parcel, { policy, random, deliverToHop, failedHops: this.#failedHops });
  }

  get loginsRefused(): LoginsRefused {
    return this.#failedHops.refusals();
  }

  useMaterials(materials: Materials): void {
    this.#deps.client.useMaterials(materials);
    // A login that was refused may be right now.
    this.#failedHops.forgive();
  }

  close(): void {
    this.#deps.client.close();
  }
}
