import { inNamespace, type Kernel } from '../../../src/linux/index.ts';

/** A kernel whose every call is made inside a namespace: for a second node in one process. */
export function kernelIn(name: string, open: () => Kernel): Kernel {
  const inside = <T>(action: () => T): T => inNamespace({ name }, action);
  const kernel = inside(open);
  return {
    links: () => inside(() => kernel.links()),
    linkByName: (link) => inside(() => kernel.linkByName(link)),
    addresses: () => inside(() => kernel.addresses()),
    setAddress: (request) => inside(() => kernel.setAddress(request)),
    removeAddress: (ifindex, address, length) => inside(() => kernel.removeAddress(ifindex, address, length)),
    setAddresses: (requests) => inside(() => kernel.setAddresses(requests)),
    removeAddresses: (keys) => inside(() => kernel.removeAddresses(keys)),
    routes: (filter) => inside(() => kernel.routes(filter)),
    setRoute: (route) => inside(() => kernel.setRoute(route)),
    removeRoute: (route) => inside(() => kernel.removeRoute(route)),
    setRoutes: (routes) => inside(() => kernel.setRoutes(routes)),
    removeRoutes: (routes) => inside(() => kernel.removeRoutes(routes)),
    rules: () => inside(() => kernel.rules()),
    addRule: (rule) => inside(() => kernel.addRule(rule)),
    removeRule: (rule) => inside(() => kernel.removeRule(rule)),
    neighbours: () => inside(() => kernel.neighbours()),
    removeNeighbour: (ifindex, address) => inside(() => kernel.removeNeighbour(ifindex, address)),
    watch: (kinds, onEvent) => inside(() => kernel.watch(kinds, onEvent)),
    openPacketSocket: (options) => inside(() => kernel.openPacketSocket(options)),
    readSysctl: (setting) => inside(() => kernel.readSysctl(setting)),
    writeSysctl: (setting, value) => inside(() => kernel.writeSysctl(setting, value)),
  };
}
