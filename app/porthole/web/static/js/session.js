/**
 * The life of one console: check, connect, wait, try again, end.
 *
 * The loop is here, every decision in words.js and backoff.js, everything visible in console.js. At any time there is
 * one loop: starting another ends the one before.
 */

import { socketUrl } from './address.js';
import { nextPause } from './backoff.js';
import { subprotocols } from './secret.js';
import * as words from './words.js';

/** A connection that lasted this long was a good one: the next loss starts with short pauses again. */
const GOOD_AFTER_MS = 10_000;
/** From the WebSocket's start to the guest's first screen; QEMU needs milliseconds. */
const HANDSHAKE_MS = 30_000;
/** How long the WebSocket's close may come after noVNC's own end. */
const CLOSE_MS = 2000;

/**
 * @typedef {object} Parts what the session needs of the page
 * @property {(token: string, secret: string) => Promise<any>} check POST /v1/consoles/check
 * @property {(socket: WebSocket) => any} view makes noVNC's RFB over the socket
 * @property {(outcome: import('./words.js').Outcome) => void} show
 * @property {(answer: {instance: {id: string, name: string}|null, expiresAt: string|null, mode: string, shared: boolean}) => void} learn
 * @property {(rfb: any, types: string[]) => void} askCredentials
 */

export class ConsoleSession {
  #parts;
  #token;
  #secret;
  #path;
  #expires = null;
  #run = 0;
  #wake = () => {};
  #last = null;
  #leaving = false;
  /** noVNC's RFB while there is a connection, else null. */
  rfb = null;

  /**
   * @param {string} token
   * @param {string} secret with which this page goes on with its session
   * @param {string} path
   * @param {Parts} parts
   */
  constructor(token, secret, path, parts) {
    this.#token = token;
    this.#secret = secret;
    this.#path = path;
    this.#parts = parts;
  }

  /** Connect, and keep at it as far as the schedules go. */
  async start() {
    const run = ++this.#run;
    this.#leaving = false;
    this.#wake();
    let began = Date.now();
    let tries = 0;
    let kind = null;
    this.#show({ state: 'connecting', title: 'Connecting', text: '', retry: null, offer: null });
    for (;;) {
      const { outcome, lasted } = await this.#attempt(run);
      if (run !== this.#run) {
        return;
      }
      if (lasted >= GOOD_AFTER_MS || outcome.retry !== kind) {
        began = Date.now();
        tries = 0;
        kind = outcome.retry;
      }
      tries += 1;
      const pause = kind && nextPause(kind, tries, { now: Date.now(), began, expires: this.#expires });
      if (pause === null || kind === null) {
        this.#show(kind ? words.gaveUp(outcome) : outcome);
        return;
      }
      this.#show({ ...outcome, nextAt: Date.now() + pause, tries });
      await this.#sleep(pause);
      if (run !== this.#run) {
        return;
      }
    }
  }

  /** End the pause before the next try. */
  hurry() {
    this.#wake();
  }

  /** End what is going on: the pause, or the connection. */
  stop() {
    this.#leaving = true;
    if (this.rfb) {
      this.rfb.disconnect();
      return;
    }
    this.#run += 1;
    this.#wake();
    this.#show(words.stoppedByUser(this.#last));
  }

  /** End everything without a word: the page goes away. */
  abandon() {
    this.#run += 1;
    this.#wake();
    this.rfb?.disconnect();
  }

  async #attempt(run) {
    try {
      const answer = await this.#parts.check(this.#token, this.#secret);
      if (run === this.#run) {
        this.#learn(answer.instance, answer.expires_at, answer.mode, answer.shared);
      }
    } catch (problem) {
      this.#learn(problem.instance ?? null, null);
      return { outcome: words.fromProblem(problem), lasted: 0 };
    }
    if (run !== this.#run) {
      return { outcome: words.stoppedByUser(null), lasted: 0 };
    }
    if (this.#last?.state !== 'connecting') {
      this.#show({ state: 'connecting', title: 'Connecting', text: '', retry: null, offer: null });
    }
    return this.#connection();
  }

  #learn(instance, expiresAt, mode = 'full', shared = false) {
    const expires = Date.parse(expiresAt ?? '');
    if (!Number.isNaN(expires)) {
      this.#expires = expires;
    }
    this.#parts.learn({ instance: instance ?? null, expiresAt: expiresAt ?? null, mode, shared });
  }

  /** One WebSocket, from its opening to its close. */
  #connection() {
    return new Promise((resolve) => {
      let connectedAt = null;
      let close = null;
      let refusal = null;
      let over = false;
      let closeTimer;
      const socket = new WebSocket(socketUrl(location.href, this.#path, this.#token), subprotocols(this.#secret));
      // noVNC keeps code and reason to itself, so the page listens too, and first.
      socket.addEventListener('close', (event) => {
        close = { code: event.code, reason: event.reason };
      });

      let rfb;
      try {
        rfb = this.#parts.view(socket);
      } catch (error) {
        // noVNC refuses a WebSocket that something else in the browser has replaced.
        console.error(error);
        socket.close();
        resolve({ outcome: words.NO_VIEWER, lasted: 0 });
        return;
      }
      this.rfb = rfb;
      let handshake = setTimeout(() => rfb.disconnect(), HANDSHAKE_MS);

      const finish = () => {
        if (over) {
          return;
        }
        over = true;
        clearTimeout(handshake);
        clearTimeout(closeTimer);
        this.rfb = null;
        const lasted = connectedAt === null ? 0 : Date.now() - connectedAt;
        if (this.#leaving) {
          resolve({ outcome: words.stoppedByUser(null), lasted });
        } else if (refusal) {
          resolve({ outcome: refusal, lasted });
        } else {
          const { code, reason } = close ?? { code: 1006, reason: '' };
          resolve({ outcome: words.fromClose({ code, reason, connected: connectedAt !== null }), lasted });
        }
      };

      rfb.addEventListener('connect', () => {
        clearTimeout(handshake);
        connectedAt = Date.now();
        this.#show({ state: 'connected', title: 'Connected', text: '', retry: null, offer: null });
      });
      rfb.addEventListener('securityfailure', (event) => {
        refusal = words.securityRefusal(String(event.detail.reason ?? ''));
      });
      rfb.addEventListener('credentialsrequired', (event) => {
        clearTimeout(handshake);
        handshake = undefined;
        this.#parts.askCredentials(rfb, event.detail.types);
      });
      rfb.addEventListener('disconnect', () => {
        if (close || this.#leaving) {
          finish();
        } else {
          // noVNC gave up first; the service's reason may still be on its way.
          socket.addEventListener('close', finish);
          closeTimer = setTimeout(finish, CLOSE_MS);
        }
      });
    });
  }

  #show(outcome) {
    this.#last = outcome;
    this.#parts.show(outcome);
  }

  #sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
