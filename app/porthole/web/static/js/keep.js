/**
 * Keeps a console's token over a reload, out of the address.
 *
 * The entry is in sessionStorage, which lives as long as the tab; its key is in the history entry, so that going back
 * to another console of the same tab finds that console's own token.
 */

const PREFIX = 'porthole.console.';
const MAX_ENTRIES = 20;

/**
 * @typedef {object} Entry
 * @property {string|null} token
 * @property {string|null} secret with which the page goes on with the session that the token opened
 * @property {string|null} path
 * @property {{id: string, name: string}|null} instance
 * @property {string|null} expiresAt
 * @property {boolean} [shared] whether a share link led here, so that whoever watches need not have an account
 */

/**
 * @param {Storage} storage
 * @param {string} key
 * @param {Entry} entry
 * @returns {boolean} false when the browser keeps nothing (storage switched off or full): a reload then needs a new console
 */
export function keep(storage, key, entry) {
  try {
    const keys = Object.keys(storage).filter((name) => name.startsWith(PREFIX) && name !== PREFIX + key);
    for (const name of keys.slice(0, Math.max(0, keys.length - MAX_ENTRIES + 1))) {
      storage.removeItem(name);
    }
    storage.setItem(PREFIX + key, JSON.stringify(entry));
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {Storage} storage
 * @param {unknown} key
 * @returns {Entry|null}
 */
export function recall(storage, key) {
  if (typeof key !== 'string') {
    return null;
  }
  try {
    const entry = JSON.parse(storage.getItem(PREFIX + key) ?? 'null');
    return entry && typeof entry === 'object' ? entry : null;
  } catch {
    return null;
  }
}

/**
 * The secret kept with a token: an address that is opened again in the same tab, or a frame that its page loads again,
 * goes on with the session that the token has opened.
 *
 * @param {Storage} storage
 * @param {string} token
 * @returns {unknown}
 */
export function secretOf(storage, token) {
  try {
    const keys = Object.keys(storage).filter((name) => name.startsWith(PREFIX));
    const entries = keys.map((name) => recall(storage, name.slice(PREFIX.length)));
    return entries.find((entry) => entry?.token === token)?.secret ?? null;
  } catch {
    return null;
  }
}

/** A name for an entry; not a secret. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => byte.toString(36)).join('');
}
