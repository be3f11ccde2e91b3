/**
 * Warns a minute before the session ends of itself, and renews it where that is possible.
 *
 * When it ends is asked anew before each warning: another tab, or another person, may have renewed it.
 */

import { $ } from './dom.js';
import { count } from './keys.js';

const WARN_S = 60;
/** Browsers count a timer's milliseconds in 31 bits. */
const LONGEST_PAUSE_S = 12 * 3600;
const RETRY_S = 5;

/** @typedef {{id: string, seconds_left: number|null, renewable: boolean}} SessionEnd */

/**
 * How long to wait before the session's end is looked at again; null for ever. Pure.
 *
 * @param {SessionEnd|null} session
 * @returns {number|null} seconds; 0 when it is time to warn
 */
export function untilWarning(session) {
  if (!session || typeof session.seconds_left !== 'number') {
    return null;
  }
  return Math.min(LONGEST_PAUSE_S, Math.max(0, session.seconds_left - WARN_S));
}

export class Ending {
  #ask;
  #renew;
  #timer;
  #run = 0;

  /**
   * @param {() => Promise<SessionEnd|null>} ask
   * @param {(id: string) => Promise<unknown>} renew
   */
  constructor(ask, renew) {
    this.#ask = ask;
    this.#renew = renew;
  }

  /** A session has begun, or its end may have moved. */
  async begin() {
    this.stop();
    const run = this.#run;
    let session;
    let pause;
    try {
      session = await this.#ask();
      pause = untilWarning(session);
    } catch {
      pause = RETRY_S;
    }
    if (run !== this.#run || pause === null) {
      return;
    }
    if (pause > 0) {
      this.#timer = setTimeout(() => this.begin(), pause * 1000);
    } else {
      this.#warn(session);
    }
  }

  /** There is no session any more. */
  stop() {
    this.#run += 1;
    clearTimeout(this.#timer);
    clearInterval(this.#timer);
    $('ending').hidden = true;
  }

  #warn({ id, seconds_left: left, renewable }) {
    const end = Date.now() + left * 1000;
    const tick = () => {
      $('ending-text').textContent = `This session ends in ${count(Math.max(0, Math.round((end - Date.now()) / 1000)), 'second')}.`;
    };
    tick();
    this.#timer = setInterval(tick, 1000);
    $('ending').hidden = false;
    $('ending-why').textContent = '';
    $('ending-renew').hidden = !renewable;
    $('ending-renew').disabled = false;
    $('ending-renew').onclick = () => this.#go(id);
    $('announce').textContent = $('ending-text').textContent;
  }

  async #go(id) {
    $('ending-renew').disabled = true;
    try {
      await this.#renew(id);
    } catch (problem) {
      const why = problem.status === 401 ? 'Sign in to this service in another tab, then try again.' : problem.message;
      $('ending-why').textContent = why;
      $('announce').textContent = why;
      $('ending-renew').disabled = false;
      return;
    }
    await this.begin();
  }
}
