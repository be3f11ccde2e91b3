/**
 * The secret with which this page goes on with its session after a reload or a loss of the network.
 *
 * A console's token opens one session. Its page makes a secret, offers it at every connect as a WebSocket subprotocol,
 * which is in a header and no address, and the service knows it again by its hash. Other than a cookie it works in a
 * frame of another site.
 */

const BYTES = 32;
const SUBPROTOCOL = 'binary';
const PREFIX = 'porthole.resume.';
const FORM = /^[A-Za-z0-9_-]{43}$/;

/** 32 random bytes in base64url. */
export function newSecret() {
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES));
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** @param {unknown} text @returns {text is string} whether this is a secret in the form above */
export function isSecret(text) {
  return typeof text === 'string' && FORM.test(text);
}

/** What the WebSocket offers; the service chooses the first and never says the second. */
export function subprotocols(secret) {
  return [SUBPROTOCOL, PREFIX + secret];
}
