import { bool, text } from '../setting.ts';

/** Addresses for Services: by the manager, or by `kube-vip cloud-controller`. */
export const ipamSettings = {
  servicesIpam: bool(false, {
    flag: 'servicesIpam',
    env: 'svc_ipam',
    key: 'servicesIpam',
    feature: 'ipam',
    doc: 'Give Services their addresses here, from the pools in a ConfigMap, instead of by a cloud controller beside this.',
  }),
  ipamNamespace: text('kube-system', {
    flag: 'ipamNamespace',
    env: 'KUBEVIP_NAMESPACE',
    key: 'ipam.namespace',
    feature: 'ipam',
    doc: 'Namespace of the ConfigMap with the pools.',
  }),
  ipamConfigMap: text('kubevip', {
    flag: 'ipamConfigMap',
    env: 'KUBEVIP_CONFIG_MAP',
    key: 'ipam.configMap',
    feature: 'ipam',
    doc: 'Name of the ConfigMap with the pools.',
  }),
  ipamLeaseName: text('kube-vip-cloud-controller', {
    flag: 'leader-elect-resource-name',
    key: 'ipam.leaseName',
    feature: 'ipam',
    doc: 'Lease whose holder assigns addresses; the same for managers and cloud controllers, so that one of all does.',
  }),
  ipamLeaseNamespace: text('kube-system', {
    flag: 'leader-elect-resource-namespace',
    key: 'ipam.leaseNamespace',
    feature: 'ipam',
    doc: 'Namespace of that lease.',
  }),
  ipamClassEnabled: bool(false, {
    env: 'KUBEVIP_ENABLE_LOADBALANCERCLASS',
    key: 'ipam.enableLoadBalancerClass',
    feature: 'ipam',
    doc: 'Cloud controller: take the Services of one load balancer class instead of those without a class.',
  }),
  ipamClassName: text('kube-vip.io/kube-vip-class', {
    env: 'KUBEVIP_CUSTOM_LOADBALANCERCLASS_NAME',
    key: 'ipam.loadBalancerClassName',
    feature: 'ipam',
    doc: 'Cloud controller: that class.',
  }),
} as const;
