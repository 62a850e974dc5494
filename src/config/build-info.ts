declare const KUBE_VIP_VERSION: string | undefined;
declare const KUBE_VIP_BUILD: string | undefined;

/** What this program calls itself. The bundler replaces the two names; a run from source has neither. */
export const buildInfo: { readonly version: string; readonly build: string } = {
  version: typeof KUBE_VIP_VERSION === 'string' ? KUBE_VIP_VERSION : 'dev',
  build: typeof KUBE_VIP_BUILD === 'string' ? KUBE_VIP_BUILD : 'unknown',
};
