/** The dialogs: paste, the display's own password, help. */

import { $, toast } from './dom.js';
import { PASTE_MAX, count, describeText, typeText } from './keys.js';
import { typeStrokes } from './paste.js';

/** @type {AbortController|null} */
let pasting = null;

/**
 * @param {{rfb: () => any, stop: () => void}} parts `rfb` gives noVNC's RFB while connected
 */
export function wireDialogs({ rfb, stop }) {
  $('help-button').addEventListener('click', () => {
    $('help-dialog').showModal();
    // Not its button, which is at the end of a text that may need scrolling.
    $('help-title').focus();
  });
  for (const id of ['paste-dialog', 'credentials-dialog']) {
    $(id).addEventListener('close', () => rfb()?.focus());
  }
  wirePaste(rfb);
  $('credentials-cancel').addEventListener('click', () => {
    $('credentials-dialog').close();
    stop();
  });
}

/** End the typing of a text, when there is one. */
export function stopPasting() {
  pasting?.abort();
}

function wirePaste(rfb) {
  const dialog = $('paste-dialog');
  const text = $('paste-text');
  const describe = () => {
    $('paste-note').textContent = describeText(text.value);
    $('paste-type').disabled = text.value === '';
    $('paste-clipboard').disabled = text.value === '';
  };
  $('paste-button').addEventListener('click', () => {
    describe();
    dialog.showModal();
    text.focus();
  });
  text.addEventListener('input', describe);
  $('paste-cancel').addEventListener('click', () => (pasting ? pasting.abort() : dialog.close()));
  dialog.addEventListener('cancel', () => pasting?.abort());
  // What was pasted may be a password.
  dialog.addEventListener('close', () => { text.value = ''; });
  $('paste-clipboard').addEventListener('click', () => {
    rfb()?.clipboardPasteFrom(text.value.slice(0, PASTE_MAX));
    dialog.close();
    toast('Sent to the guest’s clipboard, if it has one.');
  });
  $('paste-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const { strokes } = typeText(text.value);
    pasting = new AbortController();
    setPasting(true, strokes.length);
    const typed = await typeStrokes(strokes, (keysym, code, down) => rfb()?.sendKey(keysym, code, down), {
      signal: pasting.signal,
      progress: (done) => {
        $('paste-progress').value = done;
        $('paste-count').textContent = `${done.toLocaleString('en')} of ${count(strokes.length, 'character')} sent`;
      },
    });
    pasting = null;
    setPasting(false, 1);
    dialog.close();
    toast(typed === strokes.length ? `${count(typed, 'character')} sent.` : `Stopped after ${typed} of ${count(strokes.length, 'character')}.`);
  });
}

function setPasting(active, total) {
  $('paste-progress').max = Math.max(1, total);
  $('paste-progress').value = 0;
  $('paste-progress-box').hidden = !active;
  $('paste-note').hidden = active;
  $('paste-text').readOnly = active;
  $('paste-type').disabled = active;
  $('paste-clipboard').disabled = active;
  $('paste-cancel').textContent = active ? 'Stop' : 'Close';
}

/**
 * Ask for what the guest's VNC server wants to know.
 *
 * @param {any} viewer noVNC's RFB
 * @param {string[]} types "username", "password"
 * @param {() => void} stop
 */
export function askCredentials(viewer, types, stop) {
  const dialog = $('credentials-dialog');
  for (const field of dialog.querySelectorAll('[data-credential]')) {
    field.hidden = !types.includes(field.dataset.credential);
  }
  $('credentials-form').onsubmit = () => {
    viewer.sendCredentials({ username: $('vnc-username').value, password: $('vnc-password').value, target: '' });
    $('vnc-password').value = '';
  };
  viewer.addEventListener('disconnect', () => dialog.close());
  dialog.oncancel = stop;
  dialog.showModal();
}
