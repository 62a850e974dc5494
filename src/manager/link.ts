import { checkInterface, defaultRouteLink, type Config } from '../config/index.ts';
import type { Logger } from '../lib/log.ts';
import type { Kernel, Link } from '../linux/types.ts';
import { StartError } from './errors.ts';

/**
 * Services may have another link, which has to be there as well; `auto`, and links that Services name themselves, are
 * looked for when they are needed.
 *
 * @throws StartError when it is not there, or not operationally up.
 */
function checkServicesLink(kernel: Pick<Kernel, 'linkByName'>, config: Config, log: Logger): void {
  const { servicesInterface: name, allowInterfaceNotUp } = config;
  if (!config.enableServices || name === '') return;
  const verdict = checkInterface(name, kernel.linkByName(name), allowInterfaceNotUp);
  if (!verdict.usable) throw new StartError(`vip_servicesinterface: ${verdict.problem}; ${verdict.remedy}`);
  if (verdict.warning !== undefined) log.warn(verdict.warning, { link: name });
}

/**
 * The link that carries the VIPs: the configured one, else that of the default route.
 *
 * @throws StartError when there is none, or it is not operationally up and `vip_allow_interface_not_up` is off.
 */
export async function chooseLink(kernel: Kernel, config: Config, log: Logger): Promise<Link> {
  const name = config.interface === '' ? await linkOfDefaultRoute(kernel, log) : config.interface;
  const link = kernel.linkByName(name);
  const verdict = checkInterface(name, link, config.allowInterfaceNotUp);
  if (!verdict.usable || link === undefined) {
    const reason = verdict.usable
      ? `vip_interface=${name} is for Services only`
      : `${verdict.problem}; ${verdict.remedy}`;
    throw new StartError(reason);
  }
  if (verdict.warning !== undefined) log.warn(verdict.warning, { link: name });
  checkServicesLink(kernel, config, log);
  return link;
}

async function linkOfDefaultRoute(kernel: Kernel, log: Logger): Promise<string> {
  const index = defaultRouteLink(await kernel.routes());
  const link = (await kernel.links()).find((candidate) => candidate.index === index);
  if (link === undefined) {
    throw new StartError(
      'vip_interface is not set and there is no default route to take a link from; set vip_interface',
    );
  }
  log.info('using the link of the default route', { link: link.name });
  watchDefaultRoute(kernel, link, log);
  return link.name;
}

/** Says when the route that chose the link is gone; the VIPs stay where they are. Watches until the kernel is closed. */
function watchDefaultRoute(kernel: Kernel, { index, name }: Link, log: Logger): void {
  kernel.watch(['route'], (event) => {
    if (event.kind !== 'route' || defaultRouteLink([event.route]) !== index) return;
    if (event.change === 'gone') log.error('the default route that chose the link is gone', { link: name });
    else log.info('a default route goes over the link', { link: name });
  });
}
