/**
 * A real rspamd as a content filter. Its own test patterns (GTUBE) ask for an action. The rule of this file obeys a
 * header of the message, for what no pattern asks: `X-Test: quarantine`, or `X-Test: headers` for changes of fields. It
 * asks no server and keeps nothing. It starts in seconds, because it knows no languages and one top-level domain.
 */
import { Layer } from './layer.ts';
import { until } from './wait.ts';

/** The whole line, in the body of a message. */
export const GTUBE = {
  reject: 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X',
  addHeader: 'YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X',
  rewriteSubject: 'ZJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X',
};

export interface Rspamd {
  readonly url: string;
  stop(): Promise<void>;
}

/** A controller, because that worker asks for the password. */
export async function startRspamd({
  port,
  password,
}: {
  readonly port: number;
  readonly password: string;
}): Promise<Rspamd> {
  const layer = await Layer.start({
    name: 'rspamd',
    port,
    command: ['/usr/bin/rspamd', '-f', '-i', '-u', 'spam', '-g', 'spam', '-c', '/etc/rspamd/test.conf'],
    files: {
      '/etc/rspamd/test.conf': configuration(port, password),
      '/etc/rspamd/test.lua': RULE,
      '/etc/rspamd/tld.txt': 'example\n',
    },
    users: { spam: ['/var/lib/rspamd', '/run/rspamd'] },
  });
  const url = `http://127.0.0.1:${port}`;
  // Its first process listens before the worker is there that answers.
  await until('rspamd to answer', async () => (await fetch(`${url}/ping`)).ok);
  return { url, stop: () => layer.stop() };
}

function configuration(port: number, password: string): string {
  return `options {
  filters = "";
  enable_test_patterns = true;
  disable_hyperscan = true;
  url_tld = "/etc/rspamd/tld.txt";
  lang_detection { languages = "/etc/rspamd/none"; }
  dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }
  local_addrs = [];
}
logging { type = "console"; level = "warning"; }
worker "controller" {
  bind_socket = "127.0.0.1:${port}";
  count = 1;
  password = "${password}";
  secure_ip = [];
}
actions {
  reject = 15; add_header = 6; rewrite_subject = 8; greylist = 4;
  quarantine { flags = ["no_threshold"]; }
  discard { flags = ["no_threshold"]; }
}
lua = "/etc/rspamd/test.lua";
`;
}

const RULE = `
rspamd_config:register_symbol({
  name = 'TEST', type = 'prefilter', priority = 10,
  callback = function(task)
    local wanted = task:get_header('X-Test')
    if wanted == 'headers' then
      task:set_milter_reply({
        add_headers = { ['X-Seen-User'] = task:get_user() or 'none',
                        ['X-Seen-From'] = { value = task:get_from('smtp')[1].addr, order = 0 },
                        ['X-Seen-To'] = task:get_recipients('smtp')[1].addr,
                        ['X-Seen-Client'] = tostring(task:get_from_ip()),
                        ['X-Seen-Helo'] = task:get_helo() },
        remove_headers = { ['X-Secret'] = 0, ['X-Many'] = 2 },
      })
    elseif wanted then
      task:set_pre_result(wanted, 'asked for ' .. wanted)
    end
  end })
`;
