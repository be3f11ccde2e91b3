/** Small helpers for the pages' elements. */

export const $ = (id) => document.getElementById(id);

export function button(label, onClick, main = false) {
  const element = document.createElement('button');
  element.type = 'button';
  element.className = main ? 'button button-main' : 'button';
  element.textContent = label;
  element.addEventListener('click', onClick);
  return element;
}

export function link(label, href, main = false) {
  const element = document.createElement('a');
  element.href = href;
  element.className = main ? 'button button-main' : 'button';
  element.textContent = label;
  return element;
}

export function textElement(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

/** Only when it changes, so that screen readers and selections are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** A message for some seconds, also read aloud. */
export function toast(text) {
  $('toast').textContent = text;
  $('toast').hidden = false;
  $('announce').textContent = text;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $('toast').hidden = true; }, 5000);
}
