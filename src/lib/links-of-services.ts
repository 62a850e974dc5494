/** Where kube-proxy (IPVS mode) and kube-router put the addresses of all Services, on every node. */
export const linksOfServices: ReadonlySet<string> = new Set(['kube-ipvs0', 'kube-dummy-if']);
