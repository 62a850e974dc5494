import { buildInfo } from '../../config/index.ts';
import { GeneratorError } from './errors.ts';

/** Where the original publishes its releases, which its manifests name. This program is not among them. */
export const defaultImage = 'ghcr.io/kube-vip/kube-vip';

const defaultRegistry = 'index.docker.io';

/**
 * The full name of an image, with this program's version as tag when it has none. Short names are expanded as
 * container tools do: no registry means the public one, where a single word lives under `library/`.
 *
 * @throws GeneratorError for what is not a name with an optional tag, such as a digest.
 */
export function imageWithTag(image: string): string {
  const match = /^(?:([^/]+)\/)?(.*?)(?::([\w][\w.-]{0,127}))?$/.exec(image);
  const [, first = '', rest = '', tag = buildInfo.version] = match ?? [];
  const isRegistry = /[.:]|^localhost$/.test(first);
  const path = isRegistry || first === '' ? rest : `${first}/${rest}`;
  const registry = isRegistry ? first : defaultRegistry;
  if (!/^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*$/.test(path) || path.includes('//'))
    throw new GeneratorError(`cannot parse ${JSON.stringify(image)}: not an image name with an optional tag`);
  const expanded = !isRegistry && !path.includes('/') ? `library/${path}` : path;
  return `${registry}/${expanded}:${tag}`;
}

/** A sentence where the image is the original's name with our version, which is some other program, if it is anything. */
export function imageWarning(image: string): string | undefined {
  if (image !== defaultImage) return undefined;
  return `image ${imageWithTag(image)} is not this program, which is not published there; name yours with --image`;
}
