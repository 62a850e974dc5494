/** The part of a sysctl name that stands for this link: dots are separators there. */
export function sysctlName(link: string): string {
  return link.replaceAll('.', '/');
}
