/** The shape of a wanted object: metadata that is ours, and the fields that we own. */
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

/** What rendering needs beyond the MailRelay itself: the settings of the operator. */
export interface RenderSettings {
  readonly relayImage: string;
  readonly imagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
  /** Namespace of the operator, whose pods may ask the relays for their status. */
  readonly operatorNamespace: string;
}
