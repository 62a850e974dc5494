import { features, settingList, type Feature, type FlagTable, type Setting } from '../config/index.ts';
import type { Command } from './commands.ts';

/** The full help of a command: what it does, its sub-commands, all its flags by topic. */
export function helpText(path: readonly Command[]): string {
  const command = path.at(-1);
  if (command === undefined) return '';
  const parts = [`${command.doc}.`, usageText(path)];
  if (command.children.length > 0) {
    const width = Math.max(12, ...command.children.map(({ name }) => name.length));
    const rows = command.children.map(({ name, doc }) => `  ${name.padEnd(width)} ${doc}`);
    parts.push(['Available Commands:', ...rows].join('\n'));
  }
  if (command.flags.length > 0) parts.push(flagGroup('Flags', command.flags));
  for (const [feature, title] of Object.entries(features) as [Feature, string][]) {
    const table = settingList.filter(
      ([, setting]) => setting.feature === feature && !setting.inert && setting.flags.length > 0,
    );
    if (table.length > 0) parts.push(flagGroup(`Flags: ${title}`, table));
  }
  parts.push('  -h, --help   Print this help.');
  return parts.join('\n\n') + '\n';
}

/** The short form that goes with an error. */
export function usageText(path: readonly Command[]): string {
  const name = path.map((part) => part.name).join(' ');
  const children = (path.at(-1)?.children.length ?? 0) > 0;
  return `Usage:\n  ${name} ${children ? '[command] ' : ''}[flags]`;
}

function flagGroup(title: string, table: FlagTable): string {
  return [`${title}:`, ...table.map(([, setting]) => flagRow(setting))].join('\n');
}

function flagRow(setting: Setting<unknown>): string {
  const { codec, env, doc, short } = setting;
  const name = `${short === undefined ? '    ' : `-${short}, `}--${setting.flags[0] ?? ''}`;
  const type = codec.type === 'bool' ? '' : ` ${codec.type}`;
  const fallback = codec.format(setting.default);
  const notes = [
    ...(fallback === '' || fallback === 'false' ? [] : [`default ${fallback}`]),
    ...(env[0] === undefined ? [] : [`env ${env[0]}`]),
  ];
  return `  ${(name + type).padEnd(40)} ${doc}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
}
