/* flowserver app.js: small comforts only. Every page works without this file. */
(function () {
  'use strict';
  const d = document, root = d.documentElement;
  root.classList.add('js');
  const all = (s, r) => Array.from((r || d).querySelectorAll(s));
  const say = (t) => { const n = d.querySelector('[data-say]'); if (n) { n.textContent = ''; setTimeout(() => { n.textContent = t; }, 30); } };

  /* theme: the button posts a form; here it changes the page at once and stays on it */
  all('[data-theme-form]').forEach((form) => form.addEventListener('submit', (e) => {
    e.preventDefault();
    const dark = root.dataset.bsTheme ? root.dataset.bsTheme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    const data = new FormData(form);
    root.dataset.bsTheme = dark ? 'light' : 'dark';
    data.set('theme', root.dataset.bsTheme);
    fetch(form.action, { method: 'POST', body: data, redirect: 'manual' });
  }));

  /* error summary takes focus */
  const sum = d.querySelector('[data-err-sum]'); if (sum) sum.focus();

  /* the current tab is in sight on phones */
  const tab = d.querySelector('.tabs [aria-current]'); if (tab) tab.parentNode.scrollLeft = tab.offsetLeft - 48;

  /* <details> menus: one open at a time, Escape and outside click close */
  const menus = all('details.menu, details.switch');
  menus.forEach((m) => m.addEventListener('toggle', () => { if (m.open) menus.forEach((o) => { if (o !== m && !o.contains(m) && !m.contains(o)) o.open = false; }); }));
  d.addEventListener('click', (e) => menus.forEach((m) => { if (m.open && !m.contains(e.target)) m.open = false; }));
  d.addEventListener('keydown', (e) => { if (e.key === 'Escape') menus.forEach((m) => { if (m.open) { m.open = false; m.querySelector('summary').focus(); } }); });

  /* plain-language sentence: <b data-v="field field"> follows the form */
  all('form[data-summary]').forEach((f) => {
    const out = d.querySelector(f.dataset.summary); if (!out) return;
    const find = (k) => f.querySelector('[data-sum="' + k + '"]:checked') || f.querySelector('[data-sum="' + k + '"]:not([type=radio])');
    const words = (day) => { const [y, m, n] = day.split('-'), lang = root.lang === 'en' ? 'en-GB' : root.lang; return new Date(y, m - 1, n).toLocaleDateString(lang, { day: 'numeric', month: 'long', year: 'numeric' }); };
    const val = (k) => { const el = find(k); return !el ? '' : el.type === 'date' && el.value ? words(el.value) : el.tagName === 'SELECT' ? (el.value ? el.options[el.selectedIndex].text : '') : el.value.trim(); };
    const rules = new Intl.PluralRules(root.lang || 'en');
    const phrase = (b) => {
      const keys = b.dataset.v.split(' '), n = val(keys[0]);
      if (keys.length === 1) return n || '…';
      if (n === '0' && b.dataset.zero) return b.dataset.zero;
      const unit = find(keys[1]), opt = unit.options[unit.selectedIndex];
      return n ? n + ' ' + (opt.dataset[rules.select(+n)] || opt.text) + (b.dataset.post || '') : '…';
    };
    f.addEventListener('input', () => {
      all('[data-v]', out).forEach((b) => { b.textContent = phrase(b); });
      all('[data-when]', out).forEach((b) => { const [k, v] = b.dataset.when.split('='); const el = find(k); b.hidden = !el || el.value !== v; });
    });
  });

  /* questions that follow an answer: <div data-show="scope=list">, <div data-show="kind=time|date"> */
  all('[data-show]').forEach((box) => {
    const [name, value] = box.dataset.show.split('='), form = box.closest('form');
    const run = () => { const on = form.querySelector('[name="' + name + '"]:checked, select[name="' + name + '"]'); box.hidden = !on || !value.split('|').includes(on.value); };
    form.addEventListener('input', run); run();
  });

  /* a time zone nobody chose yet: suggest the one of this device */
  all('select[data-zone]').forEach((z) => { const here = Intl.DateTimeFormat().resolvedOptions().timeZone; if (!z.value && Array.from(z.options).some((o) => o.value === here)) z.value = here; });

  /* unsaved changes */
  all('form[data-guard]').forEach((f) => {
    let dirty = false;
    f.addEventListener('input', () => { dirty = true; });
    f.addEventListener('submit', () => { dirty = false; });
    addEventListener('beforeunload', (e) => { if (dirty) e.preventDefault(); });
  });

  /* a choice that decides which questions follow asks the server for them at once */
  all('select[data-refresh]').forEach((s) => s.addEventListener('change', () => { const b = s.form.querySelector('button[name="act"][value="' + s.dataset.refresh + '"]'); if (b) s.form.requestSubmit(b); }));

  /* insert a variable at the cursor: in the field that was used last, else in the first that fits */
  let last = null;
  d.addEventListener('focusin', (e) => { if (e.target.matches('textarea, input:not([type])')) last = e.target; });
  all('[data-insert]').forEach((b) => b.addEventListener('click', () => {
    const t = last && last.matches(b.dataset.insert) ? last : d.querySelector(b.dataset.insert);
    t.setRangeText(b.dataset.text, t.selectionStart, t.selectionEnd, 'end'); t.focus(); t.dispatchEvent(new Event('input', { bubbles: true }));
  }));

  /* copy a text to the clipboard; the text itself stays visible to copy by hand */
  all('[data-copy]').forEach((b) => b.addEventListener('click', () => {
    const from = d.querySelector(b.dataset.copy);
    navigator.clipboard.writeText('value' in from ? from.value : from.textContent.trim()).then(() => say(b.dataset.done || ''));
  }));

  /* SMS segments: GSM 03.38 basic and extension tables, otherwise UCS-2; the server counts again */
  const GSM = '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà', EXT = '^{}\\[~]|€\f';
  all('[data-sms]').forEach((t) => {
    const box = d.querySelector(t.dataset.sms), prev = d.querySelector(t.dataset.smsPreview || '#sms-p');
    const warn = d.querySelector(t.dataset.smsWarn || '#sms-w');
    let sample = {}; try { sample = JSON.parse(t.dataset.sample || '{}'); } catch { /* shown without values */ }
    const set = (k, v) => { const n = box && box.querySelector('[data-k="' + k + '"]'); if (n) n.textContent = v; };
    const run = () => {
      const s = t.value.replace(/\{\{-?\s*([\w.]+)[^}]*\}\}/g, (m, k) => sample[k] || sample[k.replace('contact.', '')] || '');
      let len = 0; const odd = [];
      Array.from(s).forEach((c) => { if (GSM.includes(c)) len += 1; else if (EXT.includes(c)) len += 2; else odd.push(c); });
      const uni = odd.length > 0; if (uni) len = s.length;
      const one = uni ? 70 : 160, many = uni ? 67 : 153, seg = len <= one ? 1 : Math.ceil(len / many);
      set('len', len + ' / ' + (seg === 1 ? one : seg * many)); set('seg', String(seg)); set('enc', uni ? 'Unicode' : 'GSM');
      if (prev) prev.textContent = s;
      if (warn) { warn.hidden = !uni; const w = warn.querySelector('[data-k="odd"]'); if (w && uni) w.textContent = odd[0]; }
    };
    t.addEventListener('input', run); run();
  });

  /* drag a step by its handle: the drop posts the form of the move buttons with the new place */
  let drag = null;
  all('[data-steps] > li').forEach((li) => {
    const card = li.querySelector(':scope > [data-step]'), grip = card && card.querySelector('.grip'); if (!grip) return;
    grip.addEventListener('pointerdown', () => { li.draggable = true; });
    li.addEventListener('dragstart', (e) => { if (!li.draggable) return; e.stopPropagation(); drag = li; e.dataTransfer.effectAllowed = 'move'; e.dataTransfer.setData('text/plain', card.dataset.step); });
    li.addEventListener('dragover', (e) => { if (drag && drag !== li && drag.parentNode === li.parentNode) { e.preventDefault(); e.stopPropagation(); } });
    li.addEventListener('drop', (e) => {
      if (!drag || drag.parentNode !== li.parentNode) return;
      e.preventDefault(); e.stopPropagation();
      const form = drag.querySelector('form.step-x'); if (!form) return;
      const items = Array.from(li.parentNode.children), to = d.createElement('input');
      to.type = 'hidden'; to.name = 'to'; to.value = items.indexOf(li); form.append(to); form.submit();
    });
    li.addEventListener('dragend', () => { li.draggable = false; drag = null; });
  });
})();
