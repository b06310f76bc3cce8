/** The result of rendering, and the settings of the operator that it needs. */
import type { UserIDs } from '#crds/workload.ts';

/** A wanted object: our metadata, and the fields that we own. */
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
  /** Default for relays that do not set it. */
  readonly userIDs: UserIDs;
  /** Namespace of the operator, whose pods may poll the status of the relays. */
  readonly operatorNamespace: string;
}
