/**
 * Says so when the page's own scripts cannot be loaded, which would else leave it standing at "Connecting" for ever.
 * A plain script, run before the modules. The token is still in the address then, so loading the page anew is enough.
 */
window.addEventListener('error', ({ target }) => {
  if (!(target instanceof HTMLScriptElement)) {
    return;
  }
  const set = (id, text) => {
    const element = document.getElementById(id);
    if (element) {
      element.textContent = text;
      element.hidden = false;
    }
  };
  document.body.dataset.state = 'incomplete';
  set('pill', 'Incomplete');
  set('overlay-title', 'The page could not be loaded');
  set('overlay-text', 'The connection to the service was interrupted while the page was loading. Load it again.');
  set('loading', 'The page could not be loaded completely. Load it again.');
  set('announce', 'The page could not be loaded completely. Load it again.');
}, true);
