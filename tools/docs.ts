import { features, settingList, type Feature, type Setting } from '../src/config/index.ts';
import { writePage } from './page.ts';

/**
 * Writes docs/reference/configuration.md from the table of settings; with `--check` it only compares and
 * fails when the page is stale.
 */
const introduction = `# Configuration

<!-- Written by tools/docs.ts from src/config/settings. Do not edit; run: npm run docs -->

Every setting has a name in the environment, on the command line and in a configuration file. The first of these that is set counts:

1. the environment variable, unless it is set to the empty string;
2. the flag: \`--name=value\` or \`--name value\`; a boolean flag alone means true, and false is written \`--name=false\`. Flags may stand before or after the command;
3. the key in the file named by \`--config-file\` or \`config_file\`: JSON (\`.json\`) or YAML (\`.yaml\`, \`.yml\`), dots stand for nested objects, upper and lower case do not matter. An unknown key is ignored with a warning. [An example](kube-vip.example.yaml);
4. the default.

Booleans are \`1 t T TRUE true True\` and \`0 f F FALSE false False\`. Numbers in the environment are decimal; flags and files also take \`0x1f\`, \`0o17\`, \`0b11\`.
A value that cannot be used stops the start with status 1 and a line on stderr for each problem, with the setting, where it came from, the value and what to write instead.

Mark **S**: the environment variable is read only when \`svc_enable\` is set. A setting that asks for something *not built yet* is refused at start with \`not implemented yet: …\`.
`;

function render(): string {
  const parts = (Object.entries(features) as [Feature, string][]).map(([feature, title]) =>
    group(feature, title),
  );
  const rest = settingList.filter(([, setting]) => setting.inert).map(([, setting]) => row(setting));
  return [
    introduction,
    ...parts.filter((part) => part !== ''),
    `## Without effect\n\n${header}\n${rest.join('\n')}\n`,
  ].join('\n');
}

const header =
  '| Environment | Flag | File key | Type | Default | Meaning |\n| --- | --- | --- | --- | --- | --- |';

function group(feature: Feature, title: string): string {
  const rows = settingList.filter(([, setting]) => setting.feature === feature && !setting.inert);
  if (rows.length === 0) return '';
  return `## ${title}\n\n${header}\n${rows.map(([, setting]) => row(setting)).join('\n')}\n`;
}

function row(setting: Setting<unknown>): string {
  const { env, flags, short, keys, codec, doc } = setting;
  const flagNames = [...flags.map((flag) => `--${flag}`), ...(short === undefined ? [] : [`-${short}`])];
  const fallback = codec.format(setting.default);
  const cells = [
    code(env),
    code(flagNames),
    code(keys),
    codec.type.replaceAll('|', ', '),
    fallback === '' ? '' : `\`${fallback}\``,
    [...(setting.servicesEnv ? ['**S**'] : []), doc, ...notes(setting)].join(' '),
  ];
  return `| ${cells.join(' | ')} |`;
}

function notes({ unbuilt }: Setting<unknown>): readonly string[] {
  return unbuilt === undefined ? [] : [`*(Not built yet: ${unbuilt}.)*`];
}

function code(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

writePage('docs/reference/configuration.md', render(), 'docs');
