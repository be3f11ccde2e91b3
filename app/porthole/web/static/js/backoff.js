/** When to try again, and when to stop. Pure functions; times in milliseconds. */

/** First pause, growth, longest pause, and how many tries without success are enough. */
export const SCHEDULES = {
  waiting: { first: 2000, factor: 1.4, longest: 10_000, tries: 400 },
  unreachable: { first: 2000, factor: 1.7, longest: 20_000, tries: 20 },
  reconnecting: { first: 1000, factor: 1.7, longest: 15_000, tries: 12 },
};

/** Without a known expiry of the token nothing is tried for longer than this. */
export const LONGEST_MS = 30 * 60_000;

/**
 * The pause before the next try, or null when there is to be none.
 *
 * A pause never reaches beyond the token's expiry by more than a second: the try just after it makes the service say
 * that the token has expired, and then nothing further is tried.
 *
 * @param {keyof SCHEDULES} kind
 * @param {number} tries how many have failed in a row, 1 or more
 * @param {{now: number, began: number, expires: number|null, random?: number}} time `random` from 0 to 1
 * @returns {number|null}
 */
export function nextPause(kind, tries, { now, began, expires, random = Math.random() }) {
  const schedule = SCHEDULES[kind];
  if (tries > schedule.tries || now - began >= LONGEST_MS) {
    return null;
  }
  const pause = Math.min(schedule.longest, schedule.first * schedule.factor ** (tries - 1));
  // Up to a fifth more: a hundred pages must not come back in the same second.
  const spread = Math.round(pause * (1 + random / 5));
  return expires !== null && expires > now ? Math.min(spread, expires - now + 1000) : spread;
}
