/** What a person on call types, in the order in which it is tried. Pure. */

export const NAMESPACE = 'oncall';

/** What is typed, for a relay and its first pod. */
export const COMMANDS = {
  get: 'kubectl get mr',
  wide: 'kubectl get mr -o wide',
  describe: 'kubectl describe mr NAME',
  status: 'kubectl exec POD -- mailrelay status',
  queue: 'kubectl exec POD -- mailrelay queue list',
  logs: 'kubectl logs POD',
  operator: 'kubectl logs deploy/mailrelay -n mailrelay-system',
} as const;
export type Command = keyof typeof COMMANDS;
