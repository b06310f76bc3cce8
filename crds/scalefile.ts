/**
 * The scale file: how many pods a relay should have, and their addresses. The operator writes it beside the policy
 * file. A pod whose ordinal is not below that number hands its queue to its siblings. The file is no part of the
 * policy, so scaling restarts nothing. Without this file a relay stays. Each order has a name, and a pod repeats the
 * name of the order that it follows, so a report on an earlier order proves nothing about this one. Readers accept
 * unknown fields. Pure.
 */
import { z } from 'zod';

const SCALE_FORMAT = 1;
export const SCALE_FILE_NAME = `scale.v${SCALE_FORMAT}.json`;

const scale = z.object({
  format: z.literal(SCALE_FORMAT),
  replicas: z.int().min(0),
  /** Host names of the pods that stay. */
  siblings: z.array(z.string()),
  /** The name of this order; absent in files of older operators. */
  order: z.string().optional(),
});

export type Scale = z.infer<typeof scale>;

export function printScale(replicas: number, siblings: readonly string[], order?: string): string {
  const value: Scale = { format: SCALE_FORMAT, replicas, siblings: [...siblings], order };
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** The name of the order. The number of wanted pods changes only with the generation of the MailRelay. */
export function scaleOrder({
  uid,
  generation,
}: {
  readonly uid: string;
  readonly generation: number;
}): string {
  return `${uid}.${generation}`;
}

/** Undefined if this reader does not understand the text. */
export function parseScale(text: string): Scale | undefined {
  try {
    const result = scale.safeParse(JSON.parse(text));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The most pods of a relay. Anybody who may write into a namespace can give a claim or a pod a name with a higher
 * ordinal. Such an object is none of the relay's, so nobody can make the operator ask for billions of pods.
 */
export const MOST_REPLICAS = 100;

/** The ordinal in the name of a pod or claim of a StatefulSet; NaN if there is none. */
export function parseOrdinal(name: string): number {
  return Number.parseInt(/-(\d+)$/.exec(name)?.[1] ?? '', 10);
}

/**
 * True for the name of a pod or claim that the StatefulSet of a relay makes from `prefix`: the prefix, a hyphen and the
 * ordinal.
 */
export function isNumbered(name: string, prefix: string): boolean {
  const ordinal = parseOrdinal(name);
  return ordinal < MOST_REPLICAS && name === `${prefix}-${ordinal}`;
}

/** True for a pod whose ordinal is not below this number of replicas. */
export function isBeyond(name: string, replicas: number): boolean {
  return parseOrdinal(name) >= replicas;
}
