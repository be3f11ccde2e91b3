/**
 * A button that opens a panel below it (the disclosure pattern). Escape, a click elsewhere and the focus leaving it
 * close it.
 *
 * @param {HTMLButtonElement} button has aria-expanded and aria-controls
 * @param {HTMLElement} panel
 */
export function makeDrop(button, panel) {
  const drop = button.parentElement;
  const set = (open) => {
    button.setAttribute('aria-expanded', String(open));
    panel.hidden = !open;
    if (open) {
      place(button, panel);
    }
  };
  button.addEventListener('click', () => set(panel.hidden));
  drop.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !panel.hidden) {
      event.stopPropagation();
      set(false);
      button.focus();
    }
  });
  drop.addEventListener('focusout', (event) => {
    if (event.relatedTarget && !drop.contains(event.relatedTarget)) {
      set(false);
    }
  });
  document.addEventListener('pointerdown', (event) => {
    if (!panel.hidden && !drop.contains(event.target)) {
      set(false);
    }
  }, true);
  window.addEventListener('resize', () => set(false));
  return { close: () => set(false) };
}

/** Below the button, and wholly inside the window. */
function place(button, panel) {
  const margin = 8;
  const at = button.getBoundingClientRect();
  panel.style.top = `${Math.round(at.bottom + 6)}px`;
  panel.style.maxHeight = `${Math.round(innerHeight - at.bottom - 6 - margin)}px`;
  const left = Math.min(at.left, innerWidth - panel.offsetWidth - margin);
  panel.style.left = `${Math.round(Math.max(margin, left))}px`;
}
