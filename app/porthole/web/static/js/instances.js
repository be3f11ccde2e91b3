/** What the list of instances shows, and why something cannot be opened. Pure functions. */

/** Nova's power states in words, and the tone of their pill. */
const STATES = {
  running: { word: 'Running', tone: 'good' },
  paused: { word: 'Paused', tone: 'warn' },
  shutdown: { word: 'Shut down', tone: 'idle' },
  crashed: { word: 'Crashed', tone: 'bad' },
  suspended: { word: 'Suspended', tone: 'warn' },
  nostate: { word: 'Unknown', tone: 'idle' },
};

/** @param {string} state */
export function stateWord(state) {
  return STATES[state] ?? { word: state || 'Unknown', tone: 'idle' };
}

/** Whether a guest runs, so that it has a screen. */
export function hasScreen(state) {
  return state === 'running' || state === 'paused';
}

/**
 * @param {{id: string, name: string, state: string, compute: string}[]} instances
 * @param {{words: string, state: 'all'|'console'|'off'}} filter every word has to occur in name, id, compute or state
 */
export function filterInstances(instances, { words, state }) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return instances.filter((instance) => {
    if (state !== 'all' && hasScreen(instance.state) !== (state === 'console')) {
      return false;
    }
    const text = `${instance.name} ${instance.id} ${instance.compute ?? ''} ${stateWord(instance.state).word}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

/**
 * Why the instance's console cannot be opened by this person now, or null when it can.
 *
 * @param {{state: string}} instance
 * @param {string[]} roles
 */
export function obstacle(instance, roles) {
  if (!mayOpen(roles)) {
    return 'Not with your role';
  }
  return hasScreen(instance.state) ? null : 'Not running';
}

/** @param {string[]} roles */
export function mayOpen(roles) {
  return roles.some((role) => role !== 'reader');
}

/**
 * @param {string[]|number|undefined} unreachable the names for administrators, for others a count
 * @returns {string} a sentence or an empty string
 */
export function unreachableSentence(unreachable) {
  const names = Array.isArray(unreachable) ? unreachable : [];
  const number = Array.isArray(unreachable) ? unreachable.length : Number(unreachable) || 0;
  if (number === 0) {
    return '';
  }
  const which = names.length ? `: ${names.join(', ')}` : '';
  return number === 1
    ? `One compute host cannot be reached${which}. Its instances are shown as they last were, or are missing.`
    : `${number} compute hosts cannot be reached${which}. Their instances are shown as they last were, or are missing.`;
}

/** @param {number} shown @param {number} all */
export function countSentence(shown, all) {
  return shown === all ? `${all}` : `${shown} of ${all}`;
}
