/** What rendering makes, and what it needs beyond a MailRelay: the settings of the operator. */
import type { UserIDs } from '#crds/workload.ts';

/** A wanted object: metadata that is ours, and the fields that we own. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences: readonly {
      readonly apiVersion: string;
      readonly kind: string;
      readonly name: string;
      readonly uid: string;
      readonly controller: true;
    }[];
  };
  readonly [field: string]: unknown;
}

export interface RenderSettings {
  readonly relayImage: string;
  readonly imagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
  /** Of the pods of relays that say nothing of it. */
  readonly userIDs: UserIDs;
  /** Namespace of the operator, whose pods may ask the relays for their status. */
  readonly operatorNamespace: string;
}
