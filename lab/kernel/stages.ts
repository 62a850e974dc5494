import { quote } from './quote.ts';

export interface StageOptions {
  /** The job's own folder on the host. */
  readonly folder: string;
  readonly outFolder: string;
  readonly version: string;
  /** Folder of the kernel's modules; undefined when everything is built in. */
  readonly modules: string | undefined;
}

/**
 * The guest's init: the host's root file system read-only below a writable layer in memory, fresh
 * /proc, /sys, /run, /dev; then the second stage inside. Below the layer, a folder that exists on the
 * host cannot be emptied and removed: use /dev/shm for scratch data.
 */
export function firstStage({ folder, outFolder, version, modules }: StageOptions): string {
  const mountModules = modules === undefined ? ':' : `mount -t hostfs -o ${quote(modules)} none`;
  return `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t tmpfs -o size=60% tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/lower /mnt/root
mount -t hostfs -o / none /mnt/lower
mount -t tmpfs tmpfs /run && mkdir -p /run/early/lib/modules/${version}
${mountModules} /run/early/lib/modules/${version}
modprobe -q -d /run/early overlay
mount -t overlay overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root || exit 1
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mount -t devtmpfs dev dev 2>/dev/null
mkdir -p dev/pts dev/shm dev/net run/netns run/lock run/out lib/modules/${version}
mount -t devpts devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -sfn /proc/self/fd dev/fd
[ -e dev/net/tun ] || mknod dev/net/tun c 10 200
[ -e dev/tty1 ] || mknod dev/tty1 c 4 1
${mountModules} lib/modules/${version}
mount -t hostfs -o ${quote(folder)} none mnt
mount -t hostfs -o ${quote(outFolder)} none run/out
exec chroot . /bin/sh /mnt/stage2
`;
}

/** Runs the command with its output on the second console, leaves its status and powers off. */
export function secondStage(command: readonly string[], folder: string): string {
  return `set -a; . /mnt/env; set +a
export OUT=/run/out IN_TEST_KERNEL=1
ip link set lo up
cd ${quote(folder)} || cd /
stty -opost < /dev/tty1
${command.map(quote).join(' ')} > /dev/tty1 2>&1 < /dev/null
echo $? > /mnt/rc
sync
echo o > /proc/sysrq-trigger
sleep 60
`;
}
