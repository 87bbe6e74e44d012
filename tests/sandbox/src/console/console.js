(() => {
  const byId = (id) => document.getElementById(id);

  // Copying.
  const prepare = () => {
    for (const button of document.querySelectorAll('[data-copy][hidden]')) button.hidden = false;
  };
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    await navigator.clipboard.writeText(byId(button.dataset.copy).textContent);
    const was = button.textContent;
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = was; }, 2000);
  });

  // What is new: the page is asked for again, and the parts that differ are put in. What is open stays open.
  const shown = new Map([...document.querySelectorAll('[data-live]')].map((part) => [part.id, part.outerHTML]));
  prepare();
  let mark = document.body.dataset.mark;
  let wanted = mark;
  let looking = false;

  const put = (fresh) => {
    const part = byId(fresh.id);
    const html = fresh.outerHTML;
    if (!part || shown.get(fresh.id) === html) return;
    shown.set(fresh.id, html);
    const open = [...part.querySelectorAll('details[open]')].map((details) => details.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.id : '';
    part.replaceWith(document.adoptNode(fresh));
    for (const id of open) if (byId(id)) byId(id).open = true;
    if (focused && byId(focused)) byId(focused).focus();
  };

  const look = async () => {
    if (looking) return;
    looking = true;
    while (mark !== wanted) {
      const looked = wanted;
      try {
        const response = await fetch(location.href, { headers: { accept: 'text/html' } });
        if (!response.ok) break;
        const page = new DOMParser().parseFromString(await response.text(), 'text/html');
        for (const part of page.querySelectorAll('[data-live]')) put(part);
        prepare();
        mark = looked;
      } catch {
        break;
      }
      await new Promise((later) => { setTimeout(later, 300); });
    }
    looking = false;
  };

  const live = new EventSource('/console/live');
  live.addEventListener('message', (event) => {
    const news = JSON.parse(event.data);
    const now = byId('now');
    if (now) now.textContent = news.clock;
    const leap = byId('leap');
    if (leap && news.percent !== null) leap.value = news.percent;
    wanted = news.mark;
    look();
  });
  addEventListener('pagehide', () => live.close());
  // The back button may bring the page back as it was left.
  addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
})();
