/**
 * What is switched on in our own build, beyond the default of User-Mode Linux: namespaces, the virtual
 * links and qdiscs of tests, all of nf_tables, all of IPVS. Nothing is a module, so nothing is loaded.
 */
const groups: readonly string[] = [
  'NAMESPACES NET_NS USER_NS PID_NS CGROUPS OVERLAY_FS TMPFS HOSTFS BPF_SYSCALL PACKET',
  'INET_DIAG INET_TCP_DIAG INET_UDP_DIAG PACKET_DIAG NETLINK_DIAG SYN_COOKIES',
  'NETDEVICES NET_CORE TUN VETH BRIDGE DUMMY BONDING VLAN_8021Q MACVLAN IPVLAN',
  'IFB NET_IPIP NET_L3_MASTER_DEV NET_VRF',
  'IPV6 IP_ADVANCED_ROUTER IP_MULTIPLE_TABLES IP_ROUTE_MULTIPATH IPV6_MULTIPLE_TABLES',
  'NETFILTER NETFILTER_ADVANCED NETFILTER_INGRESS NETFILTER_NETLINK NF_CONNTRACK NF_CONNTRACK_EVENTS NF_CT_NETLINK NF_NAT',
  'NF_TABLES NF_TABLES_INET NF_TABLES_IPV4 NF_TABLES_IPV6 NF_TABLES_ARP NF_TABLES_NETDEV',
  'NFT_NUMGEN NFT_CT NFT_LIMIT NFT_LOG NFT_MASQ NFT_REDIR NFT_NAT NFT_REJECT NFT_HASH NFT_FIB_INET NFT_FIB_IPV4',
  'NFT_FIB_IPV6 NFT_SYNPROXY NFT_COMPAT NFT_OBJREF NFT_QUOTA NF_DUP_NETDEV NFT_DUP_NETDEV NFT_FWD_NETDEV',
  'NETFILTER_XTABLES NETFILTER_XT_NAT NETFILTER_XT_MATCH_IPVS IP_NF_IPTABLES IP_NF_FILTER IP_NF_NAT IP_NF_MANGLE',
  'IP_NF_RAW IP_NF_TARGET_MASQUERADE IP6_NF_IPTABLES IP6_NF_FILTER IP6_NF_NAT IP_SET IP_SET_HASH_IP IP_SET_HASH_NET',
  'IP_VS IP_VS_IPV6 IP_VS_PROTO_TCP IP_VS_PROTO_UDP IP_VS_RR IP_VS_WRR IP_VS_LC IP_VS_WLC IP_VS_SH IP_VS_DH',
  'IP_VS_SED IP_VS_NQ IP_VS_MH IP_VS_FO IP_VS_OVF IP_VS_LBLC IP_VS_LBLCR IP_VS_NFCT',
  'NET_SCHED NET_SCH_NETEM NET_SCH_TBF NET_SCH_HTB NET_SCH_INGRESS NET_CLS_ACT NET_CLS_U32 NET_CLS_BPF NET_CLS_FLOWER',
  'NET_ACT_MIRRED NET_ACT_GACT DEBUG_INFO_NONE UML_TIME_TRAVEL_SUPPORT',
];

export const enabled: readonly string[] = groups.flatMap((group) => group.split(' '));
/** Switched off: what no test of ours needs and what would take most of the time of a build. */
export const disabled: readonly string[] = [
  'MODULES SOUND DEBUG_INFO DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT FTRACE IKCONFIG',
  'WIRELESS WLAN ETHERNET PPP SLIP INPUT SERIO HID UML_NET',
  'EXT4_FS REISERFS_FS ISO9660_FS AUTOFS4_FS QUOTA MISC_FILESYSTEMS NETWORK_FILESYSTEMS',
  'BLK_DEV_LOOP BLK_DEV_NBD IOSCHED_BFQ MQ_IOSCHED_KYBER MQ_IOSCHED_DEADLINE',
].flatMap((group) => group.split(' '));

/** With the wide registers below there is one set of them on each kernel stack. */
export const values: Readonly<Record<string, number>> = { KERNEL_STACK_ORDER: 3 };

/**
 * Changes of the source. The registers of a processor with AMX take 11 KB, more than 6.1 has room for: it could not write
 * them back, and its first process did not start.
 */
export const edits: readonly { readonly file: string; readonly from: string; readonly to: string }[] = [
  {
    file: 'arch/x86/um/user-offsets.c',
    from: 'DEFINE_LONGS(HOST_FP_SIZE, 2696)',
    to: 'DEFINE_LONGS(HOST_FP_SIZE, 12288)',
  },
];
