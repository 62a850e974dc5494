/** Manifests as kube-vip's generator and its documentation gave them to users; only names and addresses are the lab's. */
export const oldManifests: Readonly<Record<string, string>> = {
  'a static Pod of 0.5, with vip_address and vip_cidr': `
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: null
  name: kube-vip
  namespace: kube-system
spec:
  containers:
  - args:
    - manager
    env:
    - {name: vip_arp, value: "true"}
    - {name: port, value: "6443"}
    - {name: vip_interface, value: eth0}
    - {name: vip_cidr, value: "32"}
    - {name: cp_enable, value: "true"}
    - {name: cp_namespace, value: kube-system}
    - {name: vip_ddns, value: "false"}
    - {name: vip_leaderelection, value: "true"}
    - {name: vip_leaseduration, value: "5"}
    - {name: vip_renewdeadline, value: "3"}
    - {name: vip_retryperiod, value: "1"}
    - {name: vip_address, value: ADDRESS}
    image: ghcr.io/kube-vip/kube-vip:v0.5.0
    imagePullPolicy: Always
    name: kube-vip
    securityContext:
      capabilities: {add: [NET_ADMIN, NET_RAW, SYS_TIME]}
  hostAliases: [{hostnames: [kubernetes], ip: 127.0.0.1}]
  hostNetwork: true
status: {}
`,
  'a static Pod of 0.6, with its balancer and names that are gone': `
apiVersion: v1
kind: Pod
metadata: {name: kube-vip, namespace: kube-system}
spec:
  containers:
  - args: [manager]
    env:
    - {name: vip_arp, value: "true"}
    - {name: port, value: "6443"}
    - {name: vip_interface, value: eth0}
    - {name: vip_cidr, value: "32"}
    - {name: dns_mode, value: first}
    - {name: cp_enable, value: "true"}
    - {name: cp_namespace, value: kube-system}
    - {name: vip_ddns, value: "false"}
    - {name: svc_enable, value: "true"}
    - {name: svc_leasename, value: plndr-svcs-lock}
    - {name: vip_startleader, value: "false"}
    - {name: vip_singlenode, value: "false"}
    - {name: vip_localpeer, value: ":10.77.0.11:10000"}
    - {name: vip_packet, value: "false"}
    - {name: vip_packetproject, value: ""}
    - {name: provider_config, value: ""}
    - {name: enable_endpointslices, value: "false"}
    - {name: bgp_enable, value: "false"}
    - {name: bgp_routerid, value: ""}
    - {name: bgp_peers, value: ""}
    - {name: vip_leaderelection, value: "true"}
    - {name: vip_leasename, value: plndr-cp-lock}
    - {name: vip_leaseduration, value: "5"}
    - {name: vip_renewdeadline, value: "3"}
    - {name: vip_retryperiod, value: "1"}
    - {name: lb_enable, value: "true"}
    - {name: lb_port, value: "6443"}
    - {name: lb_fwdmethod, value: local}
    - {name: address, value: ADDRESS}
    - {name: prometheus_server, value: ":2112"}
`,
  'a DaemonSet of 0.8': `
apiVersion: apps/v1
kind: DaemonSet
metadata:
  labels: {app.kubernetes.io/name: kube-vip-ds, app.kubernetes.io/version: v0.8.9}
  name: kube-vip-ds
  namespace: kube-system
spec:
  selector: {matchLabels: {app.kubernetes.io/name: kube-vip-ds}}
  template:
    spec:
      containers:
      - args:
        - manager
        - --prometheusHTTPServer
        - ":2112"
        env:
        - {name: vip_arp, value: "true"}
        - {name: port, value: "6443"}
        - name: vip_nodename
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        - {name: vip_interface, value: eth0}
        - {name: vip_subnet, value: "32"}
        - {name: dns_mode, value: first}
        - {name: cp_enable, value: "true"}
        - {name: cp_namespace, value: kube-system}
        - {name: svc_enable, value: "true"}
        - {name: svc_leasename, value: plndr-svcs-lock}
        - {name: svc_election, value: "true"}
        - {name: vip_leaderelection, value: "true"}
        - {name: vip_leasename, value: plndr-cp-lock}
        - {name: vip_leaseduration, value: "5"}
        - {name: vip_renewdeadline, value: "3"}
        - {name: vip_retryperiod, value: "1"}
        - {name: vip_loglevel, value: "4"}
        - {name: address, value: ADDRESS}
`,
  'a static Pod of 1.2': `
apiVersion: v1
kind: Pod
metadata: {name: kube-vip, namespace: kube-system}
spec:
  containers:
  - args: [manager]
    env:
    - {name: vip_arp, value: "true"}
    - {name: port, value: "6443"}
    - name: vip_nodename
      valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
    - {name: vip_interface, value: eth0}
    - {name: vip_subnet, value: "32"}
    - {name: dns_mode, value: first}
    - {name: dhcp_mode, value: ipv4}
    - {name: cp_enable, value: "true"}
    - {name: cp_namespace, value: kube-system}
    - {name: svc_enable, value: "true"}
    - {name: svc_leasename, value: plndr-svcs-lock}
    - {name: vip_leaderelection, value: "true"}
    - {name: vip_leasename, value: plndr-cp-lock}
    - {name: vip_leaseduration, value: "15"}
    - {name: vip_renewdeadline, value: "10"}
    - {name: vip_retryperiod, value: "2"}
    - {name: enable_node_labeling, value: "true"}
    - {name: address, value: ADDRESS}
    - {name: prometheus_server, value: ":2112"}
`,
};
