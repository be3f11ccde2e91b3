/** The HTTP API, as the pages use it. Addresses are relative to the page, so that a prefix before them does not matter. */

const TIMEOUT_MS = 20_000;

/** The API's refusal: an RFC 9457 problem, or the nearest to it that can be made of another answer. */
export class Problem extends Error {
  /**
   * @param {number} status HTTP status; 0 when no answer came at all
   * @param {Record<string, unknown>} body
   */
  constructor(status, body) {
    super(text(body.detail) || text(body.title) || `The service answered ${status}.`);
    this.status = status;
    this.code = text(body.code) || (status === 0 ? 'unreachable' : '');
    this.detail = text(body.detail);
    const id = text(body.instance_id);
    this.instance = id ? { id, name: '' } : null;
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>} the answer's JSON, or null when it has none
 * @throws {Problem}
 */
export async function call(method, path, body) {
  const headers = { Accept: 'application/json', 'X-Requested-With': 'porthole' };
  /** @type {RequestInit} */
  const init = { method, headers, credentials: 'same-origin', cache: 'no-store', redirect: 'error' };
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(path, { ...init, signal: abort.signal });
    const answer = await json(response);
    if (!response.ok) {
      throw new Problem(response.status, answer ?? {});
    }
    return answer;
  } catch (error) {
    if (error instanceof Problem) {
      throw error;
    }
    throw new Problem(0, { detail: 'The service cannot be reached.' });
  } finally {
    clearTimeout(timer);
  }
}

export const signIn = (username, password, scope = {}) => call('POST', 'v1/session', { username, password, ...scope });
export const signedIn = () => call('GET', 'v1/session');
export const signOut = () => call('DELETE', 'v1/session', {});
export const listInstances = () => call('GET', 'v1/instances');
export const createConsole = (instance, mode = 'full') => call('POST', 'v1/consoles', { instance, mode });
export const createShare = (instance, seconds, uses) => call('POST', 'v1/shares', { instance, expires_in: seconds, uses });
export const listShares = () => call('GET', 'v1/shares');
export const revokeToken = (id) => call('DELETE', `v1/tokens/${encodeURIComponent(id)}`, {});
export const checkConsole = (token, resume) => call('POST', 'v1/consoles/check', { token, resume });
export const renewSession = (id) => call('POST', `v1/sessions/${encodeURIComponent(id)}/renew`, {});

async function json(response) {
  const type = response.headers.get('Content-Type') ?? '';
  if (!/[/+]json\b/.test(type)) {
    return null;
  }
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function text(value) {
  return typeof value === 'string' ? value.slice(0, 1000) : '';
}
