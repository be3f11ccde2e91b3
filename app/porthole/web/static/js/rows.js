/** A row of the list of instances: made once, filled at each refresh, so that the focus stays where it is. */

import { button, setText, textElement } from './dom.js';
import { obstacle, stateWord } from './instances.js';

/**
 * @typedef {object} Row
 * @property {HTMLTableRowElement} element
 * @property {HTMLButtonElement} open
 * @property {HTMLButtonElement} view
 * @property {HTMLButtonElement} share
 */

/**
 * @param {string} id
 * @param {{open: (id: string, row: Row, mode: 'full'|'view') => void, share: (id: string) => void}} actions
 * @returns {Row}
 */
export function makeRow(id, { open, share }) {
  const element = document.createElement('tr');
  element.setAttribute('role', 'row');
  element.dataset.instance = id;
  const [name, state, compute, action] = ['name', 'state', 'compute', 'action'].map((part) => {
    const cell = document.createElement('td');
    cell.setAttribute('role', 'cell');
    cell.className = `cell-${part}`;
    element.append(cell);
    return cell;
  });
  const title = textElement('span', '');
  title.className = 'instance-name';
  const detail = textElement('span', id);
  detail.className = 'instance-id';
  name.append(title, detail);
  const pill = textElement('span', '');
  state.append(pill);
  const choices = document.createElement('div');
  choices.className = 'choices';
  const row = {
    element,
    title,
    pill,
    compute,
    choices,
    open: button('Open console', () => open(id, row, 'full'), true),
    view: button('View only', () => open(id, row, 'view')),
    share: button('Share', () => share(id)),
    why: textElement('span', ''),
  };
  row.share.setAttribute('aria-haspopup', 'dialog');
  choices.append(row.open, row.view, row.share);
  action.append(choices, row.why);
  return row;
}

/**
 * @param {any} row
 * @param {{id: string, name: string, state: string, compute: string}} instance
 * @param {{roles: string[], sharing: object|null}|null} person
 * @param {string} refused why its console was refused last, or ''
 */
export function fillRow(row, instance, person, refused) {
  const { word, tone } = stateWord(instance.state);
  setText(row.title, instance.name);
  setText(row.pill, word);
  row.pill.className = `pill pill-${tone}`;
  setText(row.compute, instance.compute ?? '');
  const reason = obstacle(instance, person?.roles ?? []);
  row.choices.hidden = reason !== null;
  row.share.hidden = !person?.sharing;
  // Each begins with what is to be seen on the button, for those who say it to their computer.
  row.open.setAttribute('aria-label', `Open console of ${instance.name}`);
  row.view.setAttribute('aria-label', `View only: ${instance.name}`);
  row.share.setAttribute('aria-label', `Share a view-only link to ${instance.name}`);
  row.share.title = 'Share a view-only link';
  setText(row.why, reason ?? refused);
  row.why.className = refused && !reason ? 'why small bad' : 'why small muted';
  row.why.setAttribute('role', refused && !reason ? 'alert' : 'none');
}
