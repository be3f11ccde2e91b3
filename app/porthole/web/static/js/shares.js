/**
 * What the dialog of share links offers and says. Pure functions.
 *
 * @typedef {{expires_in: number, longest: number}} Sharing seconds: what is usual, and the most there can be
 * @typedef {object} Share
 * @property {string} token_id
 * @property {string} instance_id
 * @property {string} user_id who made it
 * @property {string} expires_at
 * @property {number} uses how many it lets in
 * @property {number} used how many it has let in
 */

import { count } from './keys.js';

const USUAL_S = [900, 3600, 4 * 3600, 8 * 3600, 24 * 3600, 7 * 24 * 3600];
const UNITS = [[86_400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];

/**
 * @param {Sharing} sharing
 * @returns {{seconds: number, words: string, usual: boolean}[]} the times to choose from, the shortest first
 */
export function times({ expires_in: usual, longest }) {
  const seconds = new Set([...USUAL_S.filter((one) => one < longest), usual, longest]);
  return [...seconds].sort((one, other) => one - other)
    .map((one) => ({ seconds: one, words: duration(one), usual: one === usual }));
}

/** @param {number} seconds */
export function duration(seconds) {
  const [size, unit] = UNITS.find(([size]) => seconds % size === 0);
  return count(seconds / size, unit);
}

/**
 * @param {Share} share
 * @param {string} me
 * @param {string} [locale] the browser's own without it
 */
export function describeShare(share, me, locale) {
  const until = new Date(share.expires_at).toLocaleString(locale, { weekday: 'short', hour: '2-digit', minute: '2-digit' });
  const by = share.user_id === me ? '' : `, by ${share.user_id}`;
  return `Until ${until}; opened ${share.used} of ${count(share.uses, 'time')}${by}`;
}

/** @param {Share[]} shares @param {string} instance */
export function sharesOf(shares, instance) {
  return shares.filter((share) => share.instance_id === instance);
}
