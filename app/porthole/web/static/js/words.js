/**
 * Decides what a refusal or a close means: the page's state, the words for it, and what may follow. Pure functions.
 *
 * @typedef {'connecting'|'waiting'|'unreachable'|'reconnecting'|'connected'|'refused'|'expired'|'ended'} State
 * @typedef {object} Outcome
 * @property {State} state value of `data-state` on the body
 * @property {string} title
 * @property {string} text
 * @property {'waiting'|'unreachable'|'reconnecting'|null} retry which schedule of retries applies; null: none by itself
 * @property {'again'|'wait'|'new'|'reload'|null} offer what the person may ask for: the same token again, to wait for the guest,
 *   a new token, the page anew
 */

/** One word or two for the pill in the toolbar and the page's title. */
export const STATE_WORDS = {
  connecting: 'Connecting',
  waiting: 'Waiting',
  unreachable: 'Unreachable',
  reconnecting: 'Reconnecting',
  connected: 'Connected',
  refused: 'Refused',
  expired: 'Expired',
  ended: 'Ended',
};

/** A console whose time is over, or whose token is gone. */
export const EXPIRED = {
  state: 'expired',
  title: 'This console has expired',
  text: 'The address of a console works for a limited time only. Ask for a new console to go on.',
  retry: null,
  offer: 'new',
};

/** By the problem's `code`; `text` stands in where the service sent no sentence of its own. */
const PROBLEMS = {
  'token-missing': {
    state: 'refused',
    title: 'No console in this address',
    text: 'This address names no console. Open one from the list of instances.',
    offer: 'new',
  },
  'token-expired': EXPIRED,
  'token-used': {
    state: 'refused',
    title: 'This address has been used',
    text: 'The address of a console opens it once. Ask for a new console to go on.',
    offer: 'new',
  },
  'token-invalid': {
    state: 'refused',
    title: 'This address is not valid',
    text: 'The console’s address is incomplete or was changed on its way. Copy the whole of it, or ask for a new console.',
    offer: 'new',
  },
  'origin-refused': {
    state: 'refused',
    title: 'This page may not open consoles',
    text: 'The page was reached under an address that the service does not accept. Its operator can allow it.',
  },
  'instance-not-found': {
    state: 'refused',
    title: 'There is no such instance',
    text: 'The instance does not exist any more, or is none that you may see.',
  },
  'instance-not-running': {
    state: 'waiting',
    title: 'The guest is not running',
    text: 'Leave this page open: the console appears as soon as the guest has been started.',
    retry: 'waiting',
    offer: 'wait',
  },
  'console-type-unavailable': {
    state: 'refused',
    title: 'The instance has no screen',
    text: 'It was set up without a VNC display, so there is nothing to show.',
  },
  'compute-unavailable': {
    state: 'unreachable',
    title: 'The compute host cannot be reached',
    text: 'The instance may well be running; only the way to it is missing at the moment.',
    retry: 'unreachable',
    offer: 'again',
  },
  'too-many-sessions': {
    state: 'unreachable',
    title: 'Too many consoles are open',
    text: 'The service has reached its limit.',
    retry: 'unreachable',
    offer: 'again',
  },
  'session-limit': {
    state: 'unreachable',
    title: 'Too many consoles are open',
    text: 'Close one of the others, and this one opens.',
    retry: 'unreachable',
    offer: 'again',
  },
  'service-stopping': {
    state: 'unreachable',
    title: 'The service is being restarted',
    text: 'It is back in a moment.',
    retry: 'unreachable',
    offer: 'again',
  },
  forbidden: { state: 'refused', title: 'You may not open this console', text: 'Your role does not allow it.' },
  'not-authenticated': { state: 'refused', title: 'Not signed in', text: 'Sign in to go on.', offer: 'new' },
  'bad-request': {
    state: 'refused',
    title: 'The service did not understand the request',
    text: 'The console’s address may be damaged. Ask for a new console.',
    offer: 'new',
  },
  'audit-unavailable': {
    state: 'unreachable',
    title: 'The service is not available',
    text: 'It cannot record at the moment, so it opens no consoles.',
    retry: 'unreachable',
    offer: 'again',
  },
  'store-unavailable': {
    state: 'unreachable',
    title: 'The service is not available',
    text: 'It cannot reach its records at the moment.',
    retry: 'unreachable',
    offer: 'again',
  },
  'nova-unavailable': {
    state: 'unreachable',
    title: 'Nova cannot be asked',
    text: 'Nova gave out this console, and does not answer at the moment.',
    retry: 'unreachable',
    offer: 'again',
  },
  'token-other-console': {
    state: 'refused',
    title: 'This address is for another console',
    text: 'Ask for a new one.',
  },
  unreachable: {
    state: 'reconnecting',
    title: 'The service cannot be reached',
    text: 'The network or the console service is down at the moment.',
    retry: 'reconnecting',
    offer: 'again',
  },
};

/**
 * @param {{status: number, code: string, detail: string}} problem
 * @returns {Outcome}
 */
export function fromProblem({ status, code, detail }) {
  let known = PROBLEMS[code];
  if (!known && [429, 502, 503, 504].includes(status)) {
    known = { ...PROBLEMS.unreachable, title: 'The service is not available' };
  }
  known ??= {
    state: 'refused',
    title: 'The console could not be opened',
    text: status >= 500 ? 'The service failed. Try again, and tell its operator when it stays so.' : `The service answered ${status}.`,
    offer: 'again',
  };
  // Only of a guest that is not running does the page know better: it goes on waiting, so nobody has to ask again.
  const text = known.state === 'waiting' ? known.text : detail || known.text;
  return { retry: null, offer: null, ...known, text };
}

const PROTOCOL_ERRORS = new Set([1002, 1003, 1007, 1009]);

/**
 * @param {{code: number, reason: string, connected: boolean}} close
 *   `connected`: whether the guest's screen had been reached before
 * @returns {Outcome}
 */
export function fromClose({ code, reason, connected }) {
  const ended = (title, text, offer = 'again', retry = null) => ({ state: retry ?? 'ended', title, text: reason || text, retry, offer });
  switch (code) {
    case 4000:
      return ended('The guest has stopped', 'The instance was shut down or its console taken away.', 'wait');
    case 4001:
      return ended('The session’s time is over', 'Ask for a new console to go on.', 'new');
    case 4002:
      return ended('The session was ended', 'Somebody who may do so ended it from elsewhere.', null);
    case 4003:
      return ended('The guest’s screen was closed', 'The guest’s VNC server closed the connection.', 'again', 'reconnecting');
    case 4004:
      return ended('The connection was lost', 'This browser did not answer for a while.', 'again', 'reconnecting');
    case 4005:
      return ended('The console went on elsewhere', 'Another connection took it over.');
    case 4006:
      return ended('You may not use this console any more', 'Your permission was taken back.', null);
    case 4007:
      return ended('The session has ended', 'Nobody used the console for a while.', 'new');
    case 1000:
      return ended('The session has ended', 'The connection was closed normally.');
    case 1001:
      return ended('The service is restarting', 'The console comes back as soon as the service does.', 'again', 'reconnecting');
    case 1011:
      return ended('The service had an error', 'The connection was closed because of an error in the service.', 'again', 'reconnecting');
    default:
  }
  if (PROTOCOL_ERRORS.has(code)) {
    return ended('The connection failed', 'Service and browser did not understand each other.');
  }
  return connected
    ? ended('The connection was lost', 'The network between this browser and the service was interrupted.', 'again', 'reconnecting')
    : ended('The connection could not be made', 'The service did not accept the connection.', 'again', 'reconnecting');
}

/**
 * What is shown once a schedule of retries has run out.
 *
 * @param {Outcome} outcome
 * @returns {Outcome}
 */
export function gaveUp(outcome) {
  const { state, title, text, offer } = outcome;
  const stays = state === 'unreachable' ? state : 'ended';
  return { state: stays, title, text: `${text} This page has stopped trying.`, retry: null, offer };
}

/**
 * What is shown after the person stopped something.
 *
 * @param {Outcome|null} outcome what was being waited for; null when the person ended a connection
 * @returns {Outcome}
 */
export function stoppedByUser(outcome) {
  if (!outcome) {
    return { state: 'ended', title: 'Disconnected', text: 'You closed the connection. The guest goes on running.', retry: null, offer: 'again' };
  }
  return { state: 'ended', title: 'Stopped', text: outcome.text, retry: null, offer: outcome.offer };
}

export const NO_TOKEN = fromProblem({ status: 400, code: 'token-missing', detail: '' });

export const FOREIGN_ADDRESS = {
  state: 'refused',
  title: 'This address is not valid',
  text: 'It would take the console to another host than this page comes from.',
  retry: null,
  offer: null,
};

/** Asked for a new console without being signed in. */
export const NOT_SIGNED_IN = {
  state: 'refused',
  title: 'You are not signed in',
  text: 'Sign in, then open the console from the list.',
  retry: null,
  offer: null,
};

export const NO_VIEWER = {
  state: 'refused',
  title: 'The viewer could not be loaded',
  text: 'The connection to the service was interrupted, it does not serve noVNC, or this browser is too old for it.',
  retry: null,
  offer: 'reload',
};

/** @param {string} reason of the VNC server, untrusted and of any length */
export function securityRefusal(reason) {
  const said = reason.replace(/\s+/g, ' ').trim().slice(0, 300);
  return {
    state: 'refused',
    title: 'The guest’s screen refused the connection',
    text: said ? `Its VNC server said: “${said}”` : 'Its VNC server gave no reason.',
    retry: null,
    offer: 'again',
  };
}

/** @param {string} name @param {State} state */
export function pageTitle(name, state) {
  return `${name || 'Console'} — ${STATE_WORDS[state].toLowerCase()}`;
}
