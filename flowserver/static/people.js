/* Keeps the progress of an import fresh. Without it the page has a link that does the same. */
(() => {
  const refresh = async () => {
    const box = document.querySelector('[data-live]');
    if (!box) return;
    try {
      const answer = await fetch(box.dataset.live, { headers: { Accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = page.querySelector('[data-progress]');
      if (fresh) document.querySelector('[data-progress]').replaceWith(fresh);
    } catch { /* offline: try again */ }
    setTimeout(refresh, 2000);
  };
  setTimeout(refresh, 2000);
})();
