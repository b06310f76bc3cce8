/** The manifest of most stories: one listener, clients on the loopback may relay, one next hop. */
export interface Wish {
  readonly port: number | undefined;
  readonly nextHop: number;
  readonly starttls?: 'Disabled' | 'Enabled' | 'Required';
  readonly level?: 'None' | 'Opportunistic' | 'Encrypt' | 'Verify';
  /** Name of the next hop, for stories that verify its certificate. */
  readonly host?: string;
  readonly trust?: string;
  /** A further field of spec.inbound, as a line of YAML. */
  readonly inbound?: string;
  /** A further field of spec.outbound, as a line of YAML. */
  readonly outbound?: string;
  /** The field spec.queue, as a line of YAML. */
  readonly queue?: string;
  /** A further field of the spec, as a line of YAML. */
  readonly spec?: string;
  /** Further documents. */
  readonly documents?: string;
}

export function storyManifest({
  port,
  nextHop,
  starttls = 'Enabled',
  level = 'Opportunistic',
  host = '127.0.0.1',
  trust,
  inbound,
  outbound,
  queue,
  spec,
  documents = '',
}: Wish): string {
  const bundle = trust ? `, trustConfigMapName: trust` : '';
  return `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: story}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    starttls: ${starttls}
    listeners: [{name: smtp, port: ${port}}]
    clients: {networks: [127.0.0.0/8]}
${line(inbound)}  outbound:
    tls: {level: ${level}, discover: []${bundle}}
    smartHosts: [{host: ${host}, port: ${nextHop}}]
${line(outbound)}${queue === undefined ? '' : `  queue: ${queue}\n`}${spec === undefined ? '' : `  ${spec}\n`}${trust ? configMap(trust) : ''}${documents}`;
}

function line(field: string | undefined): string {
  return field === undefined ? '' : `    ${field}\n`;
}

function configMap(pem: string): string {
  return `---
apiVersion: v1
kind: ConfigMap
metadata: {name: trust}
data:
  ca.crt: |
    ${pem.trim().replaceAll('\n', '\n    ')}
`;
}
