/** Where the value of a setting comes from. */
export type Source =
  | { readonly kind: 'default' }
  | { readonly kind: 'env'; readonly name: string }
  /** `name` as the user typed it: --arp, -n. */
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string; readonly key: string }
  /** Worked out from something else. */
  | { readonly kind: 'derived'; readonly from: string };

/** For messages: `env vip_arp`, `flag --arp`, `file kube-vip.yaml key enableARP`, `default`. */
export function sourceText(source: Source): string {
  switch (source.kind) {
    case 'default':
      return 'default';
    case 'env':
    case 'flag':
      return `${source.kind} ${source.name}`;
    case 'file':
      return `file ${source.path} key ${source.key}`;
    case 'derived':
      return `from ${source.from}`;
  }
}
