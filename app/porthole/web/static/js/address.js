/**
 * What the console page's address says: the token, and where the WebSocket is.
 *
 * The address is `…/vnc_auto.html?path=%3Ftoken%3DXYZ`, as Nova writes it: `path` is resolved against the page's own
 * address and gives the WebSocket's. A plain `?token=XYZ` is understood too. Pure functions, no DOM.
 */

/** Longer tokens are none of ours; the bound keeps junk out of the store. */
export const TOKEN_MAX = 4096;

/**
 * @param {string} href the page's whole address
 * @returns {{token: string|null, path: string|null, instance: string|null, foreign: boolean}}
 *   `path` is the WebSocket's path on this host; `instance` names the instance when the address has no token any more;
 *   `foreign` is true for an address that would send the token to another host
 */
export function readAddress(href) {
  const page = new URL(href);
  const found = { token: null, path: null, instance: page.searchParams.get('instance'), foreign: false };
  const path = page.searchParams.get('path');
  let target = page;
  if (path !== null) {
    try {
      target = new URL(path, page);
    } catch {
      return found;
    }
    if (target.host !== page.host) {
      return { ...found, foreign: true };
    }
  }
  const token = target.searchParams.get('token');
  if (token && token.length <= TOKEN_MAX) {
    found.token = token;
    found.path = target.pathname;
  }
  return found;
}

/**
 * The WebSocket's address: same host as the page, `ws` for `http` and `wss` for `https`.
 *
 * @param {string} href the page's address
 * @param {string} path from {@link readAddress}
 * @param {string} token
 */
export function socketUrl(href, path, token) {
  const url = new URL(href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.username = '';
  url.password = '';
  // Set apart from the host, so that a path of "//elsewhere/" stays a path.
  url.pathname = path;
  url.search = new URLSearchParams({ token }).toString();
  url.hash = '';
  return url.href;
}

/**
 * The page's address without its token: nobody should find it in the history, or copy it after its use.
 *
 * @param {string} href
 * @param {string|null} instanceId kept in the address, so that the page can ask for a new console after a restart
 */
export function cleanAddress(href, instanceId) {
  const url = new URL(href);
  url.search = instanceId ? new URLSearchParams({ instance: instanceId }).toString() : '';
  url.hash = '';
  return url.pathname + url.search;
}

/**
 * Whether the page may go to an address that the API handed out.
 *
 * @param {unknown} address
 * @returns {address is string}
 */
export function isWebAddress(address) {
  try {
    return typeof address === 'string' && ['http:', 'https:'].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}
