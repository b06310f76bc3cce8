/** Short sessions with a pod, or with a Service, that tell what it offers now. */
import { SmtpClient } from '#test/kit/smtpclient.ts';

export async function isRequired(ip: string): Promise<boolean> {
  const client = await SmtpClient.connect(10_025, ip);
  try {
    await client.hello();
    return (await client.command('MAIL FROM:<a@client.example>')).startsWith('530 5.7.0');
  } finally {
    client.close();
  }
}

export async function greetingOf(host: string, port = 10_025): Promise<string> {
  const client = await SmtpClient.connect(port, host);
  try {
    return await client.hello();
  } finally {
    client.close();
  }
}

export async function handshakeSerial(ip: string): Promise<string> {
  const client = await SmtpClient.connect(10_025, ip);
  await client.hello();
  await client.secure();
  const serial = client.tls?.getPeerCertificate().serialNumber ?? 'none';
  client.close();
  return serial;
}
