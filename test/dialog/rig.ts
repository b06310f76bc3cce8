/**
 * One real relay with the listeners that a story needs, and a next hop that keeps what it gets. Every listener is
 * reached by its name; whatever is not said is the default of the manifest.
 */
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { type Arrived, Sink, type SinkOptions } from '#test/kit/sink.ts';
import { SmtpClient, type TlsWish } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

type Json = Readonly<Record<string, unknown>>;

export interface Story {
  /** By name; the ports are chosen here. */
  readonly listeners: Readonly<Record<string, Json>>;
  /** The rest of `spec.inbound`. */
  readonly inbound?: Json;
  /** More of the spec, in place of the defaults here. */
  readonly spec?: (hop: number) => Json;
  /** How the next hop misbehaves. */
  readonly hop?: Omit<SinkOptions, 'port'>;
  /** Data of Secrets and ConfigMaps, by name. */
  /** Of the relay. */
  readonly env?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly configMaps?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export class Rig {
  readonly relay: TestRelay;
  readonly hop: Sink;
  readonly #hopPort: number;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #clients: SmtpClient[] = [];

  private constructor(relay: TestRelay, hop: Sink, hopPort: number, ports: ReadonlyMap<string, number>) {
    this.relay = relay;
    this.hop = hop;
    this.#hopPort = hopPort;
    this.#ports = ports;
  }

  static async start(story: Story): Promise<Rig> {
    const names = Object.keys(story.listeners);
    const hopPort = await freePort();
    const hop = await Sink.start({ ...story.hop, port: hopPort });
    const manifest = (ports: readonly number[]) => manifestOf(story, hopPort, ports);
    const relay = await TestRelay.start({ manifest, ports: names.length, env: story.env ?? {} }).catch(
      async (error) => {
        await hop.down();
        throw error;
      },
    );
    return new Rig(relay, hop, hopPort, new Map(names.map((name, index) => [name, relay.ports[index] ?? 0])));
  }

  port(listener: string): number {
    const port = this.#ports.get(listener);
    if (port === undefined) throw new Error(`The story has no listener "${listener}"`);
    return port;
  }

  /** A client that has heard nothing yet. All are closed at the end, so that the relay has nobody to wait for. */
  async connect(listener: string, from = '127.0.0.1'): Promise<SmtpClient> {
    const client = await SmtpClient.connect(this.port(listener), '127.0.0.1', from);
    this.#clients.push(client);
    return client;
  }

  /** One that speaks TLS from the first byte, and has said EHLO. */
  async tlsClient(listener: string, wish: TlsWish = {}, from = '127.0.0.1'): Promise<SmtpClient> {
    const client = await this.connect(listener, from);
    await client.startTls(wish);
    await client.hello();
    return client;
  }

  /** One that has said EHLO. */
  async client(listener: string, from = '127.0.0.1'): Promise<SmtpClient> {
    const client = await this.connect(listener, from);
    await client.hello();
    return client;
  }

  /** One that has said EHLO under TLS, after STARTTLS. */
  async secureClient(listener: string, wish: TlsWish = {}, from = '127.0.0.1'): Promise<SmtpClient> {
    const client = await this.client(listener, from);
    await client.secure(wish);
    return client;
  }

  /** As a user edits the manifest: resolves when it is applied. */
  async edit(story: Story): Promise<void> {
    const applied = () => this.relay.stdout.split('Manifest applied').length;
    const before = applied();
    this.relay.edit(manifestOf(story, this.#hopPort, this.relay.ports));
    await until('the manifest to be applied', () => applied() > before);
  }

  /** What the next hop got with this id. */
  arrived(id: string): Promise<Arrived> {
    return until(`message ${id} at the next hop`, () => this.hop.arrived.find((one) => one.id === id));
  }

  metrics(): Promise<string> {
    return this.relay.metrics();
  }

  /** Waits for a line of the metrics: tasks report a few times a second. */
  metric(line: string): Promise<unknown> {
    return until(`the metric ${line}`, async () => (await this.metrics()).split('\n').includes(line));
  }

  /** Waits for a line of the log that has all of these. */
  logged(fields: Json): Promise<Json> {
    return until(`a log line with ${JSON.stringify(fields)}`, () =>
      this.log().find((line) => Object.entries(fields).every(([name, value]) => line[name] === value)),
    );
  }

  log(): Json[] {
    return this.relay.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Json);
  }

  async end(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.relay.remove();
    await this.hop.down();
  }
}

/** JSON is YAML. */
function manifestOf(story: Story, hopPort: number, ports: readonly number[]): string {
  const { listeners, inbound, spec, secrets = {}, configMaps = {} } = story;
  const relay = {
    apiVersion: 'mailrelay.dev/v1alpha1',
    kind: 'MailRelay',
    metadata: { name: 'story' },
    spec: {
      hostname: 'relay.example.com',
      tls: { secretName: 'relay-tls' },
      inbound: {
        listeners: Object.entries(listeners).map(([name, rest], index) => ({
          name,
          port: ports[index],
          ...rest,
        })),
        ...inbound,
      },
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hopPort }] },
      ...spec?.(hopPort),
    },
  };
  const secretDocuments = Object.entries(secrets).map(([name, stringData]) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    stringData,
  }));
  const mapDocuments = Object.entries(configMaps).map(([name, data]) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data,
  }));
  return [relay, ...secretDocuments, ...mapDocuments].map((one) => JSON.stringify(one)).join('\n---\n');
}
