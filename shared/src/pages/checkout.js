(() => {
  const form = document.getElementById('subscribe');
  const button = form.querySelector('button');
  const notice = document.getElementById('notice');
  const ready = (text) => {
    button.disabled = false;
    button.removeAttribute('aria-busy');
    notice.textContent = text;
  };
  button.disabled = false;
  // The back button may bring the page back as it was left.
  addEventListener('pageshow', (event) => { if (event.persisted) ready(''); });

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (!window.IMP) return ready(form.dataset.noSdk);
    button.disabled = true;
    button.setAttribute('aria-busy', 'true');
    notice.textContent = '';
    let opened;
    try {
      const response = await fetch(form.action, { method: 'POST', headers: { accept: 'application/json' } });
      // The session has moved on meanwhile: its page says where to.
      if ([404, 409, 410].includes(response.status)) return location.replace(form.dataset.session);
      if (!response.ok) throw new Error(response.status);
      opened = await response.json();
    } catch {
      return ready(form.dataset.noConnection);
    }
    try {
      IMP.init(opened.user_code);
      IMP.request_pay(opened.request, (rsp) => {
        if (!rsp.imp_uid || !rsp.merchant_uid || rsp.success === false || rsp.error_code || rsp.error_msg) {
          return ready(rsp.error_msg || form.dataset.failed);
        }
        const complete = new URL(opened.request.m_redirect_url);
        complete.searchParams.set('imp_uid', rsp.imp_uid);
        complete.searchParams.set('merchant_uid', rsp.merchant_uid);
        location.assign(complete);
      });
    } catch {
      ready(form.dataset.failed);
    }
  });
})();
