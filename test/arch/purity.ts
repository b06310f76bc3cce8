/**
 * What a file may use that promises the same results for the same arguments (claimsPure). Everything that is not named here
 * is a breach: so a new module of Node or a new global is impure until somebody has looked at it. Such a file imports values
 * only from its like. As each of those is held too, nothing that it reaches is impure.
 */
/** Of Node's modules, the functions that give the same answer for the same arguments and touch nothing. */
const NODE: Readonly<Record<string, readonly string[]>> = {
  'node:buffer': ['Buffer', 'isUtf8'],
  'node:crypto': [
    'createHash',
    'createHmac',
    'createPrivateKey',
    'createPublicKey',
    'KeyObject',
    'timingSafeEqual',
    'X509Certificate',
  ],
  'node:net': ['BlockList', 'isIP', 'isIPv4', 'isIPv6'],
  'node:path': ['basename', 'dirname', 'extname', 'join', 'normalize'],
  'node:tls': ['createSecureContext'],
  'node:url': ['domainToASCII'],
  'node:util': ['isDeepStrictEqual'],
  'node:zlib': ['crc32', 'gunzipSync', 'gzipSync', 'inflateRawSync'],
};
/** They parse, check or print values. Of commander, an error alone. */
const PACKAGES: Readonly<Record<string, readonly string[] | '*'>> = {
  zod: '*',
  yaml: '*',
  'dns-packet': '*',
  commander: ['InvalidArgumentError'],
};
/** Of the globals with a small first letter. The other ones are the clock, timers, the process and the network. */
const GLOBALS = new Set(
  `atob btoa decodeURI decodeURIComponent encodeURI encodeURIComponent escape isFinite isNaN parseFloat parseInt
  structuredClone undefined unescape`.split(/\s+/),
);
const AMBIENT = Object.getOwnPropertyNames(globalThis)
  .filter((name) => /^[a-z]\w*$/.test(name) && !GLOBALS.has(name))
  .concat('require', 'eval');
const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|(?<!\bnew )\bDate\(|\bnew Date\b(?!\()|\bnew Date\(\s*\)/, 'the clock'],
  [/\bDate\[(?!\])|=\s*Date\b(?!\.)/, 'the clock'],
  [/\bTemporal\.Now\b|\bAbortSignal\.timeout\b/, 'the clock'],
  [/\bMath\b(?!\.(?!random\b)\w)/, 'randomness'],
  [
    /\.(?:get(?:Date|Day|Full|Hours|Min|Mon|Sec|Timez)|toLocale)\w*\(|\bIntl\./,
    'the language or the time zone of the machine',
  ],
  [/\bFunction\(/, 'what no reader can follow'],
  [/(?<!\btypeof )\bimport\(\s*[^\s)]/, 'a module that is named only when it runs'],
  [/\bimport\.meta\b/, 'the place of the file'],
  [/\bnew (WebSocket|EventSource|BroadcastChannel|MessageChannel|Worker)\b/, 'the network'],
  [new RegExp(`(?<![.\\w$#])(${AMBIENT.join('|')})\\b(?!\\s*\\??:)`), 'a global that is not in its list'],
];
/** The names of one import or export, then the module. */
const NAMED = /^\s*(?:import|export)\b(?!\s+type\b)([^'"`;]*?)\bfrom\s*['"]([^'"]+)['"]/gm;
const BARE = /^\s*import\s*['"]([^'"]+)['"]|(?<!\btypeof )\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

/** A head with the word is a promise, in whatever sentence: it is held wherever it stands. */
export function claimsPure(text: string): boolean {
  return /\bpure\b/i.test(/^(?:#!.*\n)?\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? '');
}

interface ValueImport {
  readonly specifier: string;
  /** '*': the whole module. */
  readonly names: readonly string[];
}

function listValueImports(text: string): ValueImport[] {
  const named = [...text.matchAll(NAMED)].map(([, clause = '', specifier = '']) => {
    const braces = /^\s*\{([\s\S]*)\}\s*$/.exec(clause)?.[1];
    const names = braces?.split(',').flatMap((item) => {
      const [name = ''] = item.trim().split(/\s+as\s+/);
      return name === '' || name.startsWith('type ') ? [] : [name];
    });
    return { specifier, names: names ?? ['*'] };
  });
  const bare = [...text.matchAll(BARE)].map(([, effect, dynamic]) => ({
    specifier: effect ?? dynamic ?? '',
    names: ['*'],
  }));
  return [...named, ...bare].filter(({ names }) => names.length > 0);
}

/** `isPure`: of the file that a specifier names. Undefined: it names a package. */
export function impurities(
  path: string,
  text: string,
  isPure: (specifier: string) => boolean | undefined,
): string[] {
  const code = withoutTexts(text);
  const used = IMPURE.flatMap(([pattern, what]) => {
    const [found] = pattern.exec(code) ?? [];
    return found === undefined
      ? []
      : [`${path} is pure and uses ${what} (${found.trim()}): let it come in as an argument`];
  });
  const imported = listValueImports(text).flatMap(({ specifier, names }) => {
    if (isPure(specifier) ?? isPurePackage(specifier, names)) return [];
    return [
      `${path} is pure and imports ${names.join(', ')} of ${specifier}, which is not: let what it gives come in as an argument`,
    ];
  });
  return [...used, ...imported];
}

function isPurePackage(specifier: string, names: readonly string[]): boolean {
  const allowed = NODE[specifier] ?? PACKAGES[specifier] ?? [];
  return allowed === '*' || names.every((name) => allowed.includes(name));
}

const CODE =
  /\/\*[\s\S]*?\*\/|\/\/.*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<=[(,=:[!&|?{};]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*|[`{}]|[\s\S]/y;
const TEMPLATE = /\\.|\$\{|`|[\s\S]/y;

/** The code without its comments, strings and regular expressions. What a template computes stays. */
function withoutTexts(text: string): string {
  const open: ('`' | '{')[] = [];
  let code = '';
  for (let at = 0; at < text.length; ) {
    const isTemplate = open.at(-1) === '`';
    const pattern = isTemplate ? TEMPLATE : CODE;
    pattern.lastIndex = at;
    const [token] = pattern.exec(text) ?? [''];
    at += token.length;
    if (token === '`') isTemplate ? open.pop() : open.push('`');
    else if (token === '${' || (!isTemplate && token === '{')) open.push('{');
    else if (!isTemplate && token === '}') open.pop();
    if (!isTemplate) code += token.length === 1 ? token : ' ';
    else if (token === '${') code += ' ';
  }
  return code;
}
