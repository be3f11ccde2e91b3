/** The toolbar: what is sent to the guest at a click, how its screen is shown, full screen, and the toolbar itself. */

import { $, toast } from './dom.js';
import { makeDrop } from './drop.js';

/**
 * @param {{rfb: () => any, stop: () => void, instanceName: () => string}} parts `rfb` gives noVNC's RFB while connected
 */
export function wireToolbar({ rfb, stop, instanceName }) {
  const drops = [makeDrop($('keys-button'), $('keys-panel')), makeDrop($('view-button'), $('view-panel'))];
  $('cad').addEventListener('click', () => {
    rfb()?.sendCtrlAltDel();
    rfb()?.focus();
  });
  $('disconnect').addEventListener('click', () => stop());
  for (const radio of document.querySelectorAll('input[name=scaling]')) {
    radio.addEventListener('change', () => rfb() && applyScaling(rfb()));
  }
  $('view-only').addEventListener('change', () => {
    if (rfb()) {
      rfb().viewOnly = $('view-only').checked;
      enableControls(true);
    }
  });
  $('screenshot').addEventListener('click', () => screenshot(rfb(), instanceName()));
  $('full').addEventListener('click', () => toggleFullScreen(rfb));
  $('full').hidden = !document.fullscreenEnabled;
  document.addEventListener('fullscreenchange', () => {
    const full = Boolean(document.fullscreenElement);
    $('full').setAttribute('aria-pressed', String(full));
    full ? navigator.keyboard?.lock?.().catch(() => {}) : navigator.keyboard?.unlock?.();
  });
  $('collapse').addEventListener('click', () => setCollapsed($('collapse').getAttribute('aria-expanded') === 'true'));
  // Escape in the toolbar gives the keyboard back to the guest.
  $('bar').addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && rfb()) {
      event.preventDefault();
      rfb().focus();
    }
  });
  return {
    closePanels: () => drops.forEach((drop) => drop.close()),
  };
}

/** @param {boolean} connected */
export function enableControls(connected) {
  for (const control of document.querySelectorAll('[data-live]')) {
    control.disabled = !connected;
  }
  for (const control of document.querySelectorAll('[data-input]')) {
    control.disabled = !connected || $('view-only').checked;
  }
  $('screen').tabIndex = connected ? 0 : -1;
}

/** @param {any} viewer noVNC's RFB */
export function applyScaling(viewer) {
  const choice = document.querySelector('input[name=scaling]:checked').value;
  viewer.scaleViewport = choice !== 'real';
  viewer.resizeSession = choice === 'resize';
  $('screen').dataset.scaling = choice;
}

export function setCollapsed(collapsed) {
  document.body.classList.toggle('collapsed', collapsed);
  $('collapse').setAttribute('aria-expanded', String(!collapsed));
  $('collapse').title = collapsed ? 'Show the toolbar' : 'Hide the toolbar';
}

async function toggleFullScreen(rfb) {
  try {
    if (document.fullscreenElement) {
      await document.exitFullscreen();
    } else {
      await document.documentElement.requestFullscreen({ navigationUI: 'hide' });
    }
    rfb()?.focus();
  } catch {
    toast('The browser does not allow full screen here.');
  }
}

function screenshot(viewer, instanceName) {
  viewer?.toBlob((blob) => {
    if (!blob) {
      toast('There is no picture to save yet.');
      return;
    }
    const name = (instanceName || 'console').replace(/[^\w.-]+/g, '_').slice(0, 80);
    const anchor = document.createElement('a');
    anchor.href = URL.createObjectURL(blob);
    anchor.download = `${name}-${new Date().toISOString().slice(0, 19).replace(/:/g, '-')}.png`;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000);
  }, 'image/png');
}
