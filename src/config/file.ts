import { isScalar, parseAllDocuments, visit } from 'yaml';
import { messageOf } from '../lib/errors.ts';
import { settingList, type SettingName } from './settings.ts';
import { didYouMean } from './suggest.ts';

/** Larger files are refused before they are parsed. */
const maxFileLength = 1 << 20;

export interface FileValue {
  /** The dotted path as the user spelt it. */
  readonly key: string;
  readonly value: unknown;
}

export interface FileSettings {
  readonly values: ReadonlyMap<SettingName, FileValue>;
  readonly warnings: readonly string[];
}

export type FileResult = FileSettings | { readonly problem: string; readonly remedy: string };

/** Reads the content of a config file; the extension of `path` says whether it is JSON or YAML. */
export function readConfigFile(path: string, content: string): FileResult {
  const format = formatOf(path);
  if (format === undefined) return unsupported;
  if (content.length > maxFileLength)
    return {
      problem: `has ${content.length} characters, more than ${maxFileLength}`,
      remedy: 'check the path',
    };
  // A byte order mark, which the YAML parser knows and JSON.parse does not.
  const text = content.replace(/^\uFEFF/, '');
  let root: unknown;
  try {
    root = format === 'json' ? JSON.parse(text) : parseYaml(text);
  } catch (error) {
    return {
      problem: `failed to parse as ${format.toUpperCase()}: ${firstLine(messageOf(error))}`,
      remedy: 'correct the file',
    };
  }
  if (root === null || root === undefined) return { values: new Map(), warnings: [] };
  if (typeof root !== 'object' || Array.isArray(root))
    return { problem: 'is not an object with settings', remedy: 'write lines such as "enableARP: true"' };
  return collect(path, root);
}

/** The YAML parser goes on with a picture of the place; one line is one problem. */
function firstLine(text: string): string {
  return text.split('\n', 1)[0]?.replace(/:$/, '') ?? '';
}

const unsupported = {
  problem: 'unsupported config file format',
  remedy: 'use .json, .yaml or .yml',
} as const;

/** undefined: the extension is not one we read. */
export function formatOf(path: string): 'json' | 'yaml' | undefined {
  const extension = /\.([^./]*)$/.exec(path)?.[1]?.toLowerCase();
  if (extension === 'json') return 'json';
  return extension === 'yaml' || extension === 'yml' ? 'yaml' : undefined;
}

/** Of several documents the first counts, as for kube-vip; merge keys (`<<`) are of YAML 1.1. */
function parseYaml(content: string): unknown {
  const [document] = parseAllDocuments(content, { prettyErrors: true, stringKeys: true, merge: true });
  if (document === undefined) return undefined;
  const error = document.errors[0];
  if (error !== undefined) throw error;
  // A number that would not be printed as it was written (010, 1.0) may be meant for a text setting: keep the writing.
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value === 'number' && isScalar(node) && String(node.value) !== node.source)
        node.value = node.source ?? node.value;
    },
  });
  return document.toJS({ maxAliasCount: 100 });
}

/** Keys of the original that hold nothing a setting stands for. */
const knownWithoutSetting = new Set(['loadbalancers', 'configfile']);

function collect(path: string, root: object): FileSettings {
  const known = new Map(
    settingList.flatMap(([name, setting]) => setting.keys.map((key) => [key.toLowerCase(), name] as const)),
  );
  const sections = new Set(
    [...known.keys()].flatMap((key) =>
      key
        .split('.')
        .slice(0, -1)
        .map((_, i, parts) => parts.slice(0, i + 1).join('.')),
    ),
  );
  const values = new Map<SettingName, FileValue>();
  const warnings: string[] = [];

  const walk = (object: object, prefix: string): void => {
    for (const [part, value] of Object.entries(object) as [string, unknown][]) {
      const key = prefix + part;
      const name = known.get(key.toLowerCase());
      if (name !== undefined) {
        // An empty value is as good as no line.
        if (value === null || value === undefined) continue;
        const before = values.get(name);
        if (before !== undefined)
          warnings.push(`file ${path}: ${before.key} and ${key} are the same setting; ${key} counts`);
        values.set(name, { key, value });
      } else if (sections.has(key.toLowerCase()) && typeof value === 'object' && !Array.isArray(value)) {
        if (value !== null) walk(value, `${key}.`);
      } else if (!knownWithoutSetting.has(key.toLowerCase()))
        warnings.push(`file ${path}: unknown key ${key} is ignored${rightKey(key)}`);
    }
  };
  walk(root, '');
  return { values, warnings };
}

/** `; did you mean KEY?`: for a slip of the pen, and for a name that the setting has elsewhere. */
function rightKey(key: string): string {
  const namesake = settingList.find(([, { flags, env }]) => flags.includes(key) || env.includes(key));
  const [meant] = namesake?.[1].keys ?? [];
  if (meant !== undefined) return `; did you mean ${meant}?`;
  return didYouMean(
    key,
    settingList.flatMap(([, setting]) => setting.keys),
  );
}
