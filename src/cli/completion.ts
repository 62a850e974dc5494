import { settingList } from '../config/index.ts';
import { root, type Command } from './commands.ts';

/** A completion script: commands first, flags after a dash. */
export function completionScript(shell: string): string {
  return shell === 'fish' ? fish() : shell === 'zsh' ? `#compdef kube-vip\n${zshPrologue}${bash()}` : bash();
}

const zshPrologue = 'autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n';

function bash(): string {
  const cases = withChildren(root).map(
    ({ path, command }) => `    "${path}") words="${command.children.map(({ name }) => name).join(' ')}" ;;`,
  );
  return [
    '_kube_vip() {',
    '  local word="${COMP_WORDS[COMP_CWORD]}" path="" words="" part',
    '  for part in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    [[ "$part" == -* ]] || path="${path:+$path }$part"',
    '  done',
    '  case "$path" in',
    ...cases,
    '  esac',
    `  [[ "$word" == -* ]] && words="${longFlags().join(' ')}"`,
    '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
    '}',
    'complete -F _kube_vip kube-vip',
    '',
  ].join('\n');
}

function fish(): string {
  const commands = root.children.map(
    ({ name, doc }) => `complete -c kube-vip -n __fish_use_subcommand -f -a ${name} -d '${quoted(doc)}'`,
  );
  const flags = settingList.flatMap(([, setting]) =>
    setting.flags.map((flag) => `complete -c kube-vip -l ${flag} -d '${quoted(setting.doc)}'`),
  );
  return [...commands, ...flags, ''].join('\n');
}

function quoted(text: string): string {
  return text.replaceAll("'", "\\'");
}

function longFlags(): readonly string[] {
  return settingList.flatMap(([, setting]) => setting.flags.map((flag) => `--${flag}`));
}

/** Commands that have sub-commands, with the words that lead to them. */
function withChildren(
  command: Command,
  path = '',
): readonly { readonly path: string; readonly command: Command }[] {
  if (command.children.length === 0) return [];
  const below = command.children.flatMap((child) =>
    withChildren(child, path === '' ? child.name : `${path} ${child.name}`),
  );
  return [{ path, command }, ...below];
}
