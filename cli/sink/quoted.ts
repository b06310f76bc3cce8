/**
 * A server of smtp-server that also takes quoted local parts, such as "joe doe"@example.com. The library reads a stand-in in
 * the place of the local part, and so judges the rest of the command as always.
 */
import { SMTPServer } from 'smtp-server';

const QUOTED = /^([a-z ]+:<)("(?:[^"\\]|\\.)*")(@.*)$/i;
const STAND_IN = 'quoted';

export class QuotedServer extends SMTPServer {
  override connect(...args: Parameters<SMTPServer['connect']>): void {
    super.connect(...args);
    const connection = [...this.connections].at(-1);
    const parse = connection?._parseAddressCommand;
    if (!connection || !parse) return;
    connection._parseAddressCommand = (name, command) => {
      const [, before, local, rest] = QUOTED.exec(command.toString()) ?? [];
      if (local === undefined) return parse.call(connection, name, command);
      const parsed = parse.call(connection, name, Buffer.from(`${before}${STAND_IN}${rest}`));
      return parsed && { ...parsed, address: `${local}${parsed.address.slice(STAND_IN.length)}` };
    };
  }
}
