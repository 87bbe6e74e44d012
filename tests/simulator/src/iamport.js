// The simulator's stand-in for I'mport's JS SDK. Everything is checked by the simulator; this only carries.
(() => {
  const origin = new URL(document.currentScript.src).origin;
  let userCode = null;

  const IMP = {
    init(code) {
      userCode = code;
    },

    // Leaves for the payment window. `callback` only runs where that fails; without one, m_redirect_url is told.
    async request_pay(params, callback) {
      let answer;
      try {
        const response = await fetch(`${origin}/chai/window`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ ...params, user_code: userCode }),
        });
        answer = await response.json();
      } catch (error) {
        answer = {
          success: false,
          imp_uid: null,
          merchant_uid: params.merchant_uid,
          error_code: "NETWORK",
          error_msg: String(error),
        };
      }
      if (answer.success) {
        location.assign(answer.url);
        return;
      }
      const { redirect_url, ...failure } = answer;
      if (callback) callback(failure);
      else if (redirect_url) location.assign(redirect_url);
    },
  };

  window.IMP = IMP;
})();
