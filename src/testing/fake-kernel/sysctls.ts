/**
 * What Linux has in a setting below `net.` that nobody wrote; undefined when there is no such setting, as for a
 * link that does not exist.
 */
export function defaultSysctl(name: string, hasLink: (link: string) => boolean): string | undefined {
  const match = /^net\.ipv[46]\.conf\.([^.]+)\.[a-z0-9_]+$/.exec(name);
  const link = match?.[1]?.replaceAll('/', '.');
  if (link === undefined) return name.startsWith('net.') ? '0' : undefined;
  return link === 'all' || link === 'default' || hasLink(link) ? '0' : undefined;
}
