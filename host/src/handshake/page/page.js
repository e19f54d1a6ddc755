  // ---- what the host tells this page ----
  const POLL = 1000; // milliseconds
  const $ = id => document.getElementById(id);
  let apps = [], clients = [], current = null;

  const host = {
    timer: 0,
    report: null,
    // Asks each second, until the host does not respond; then again when a client has reached it.
    watch() {
      if (this.timer) return;
      this.timer = setInterval(() => { if (!document.hidden) this.ask(); }, POLL);
      this.ask();
    },
    async ask() {
      let report;
      try { report = await json('/.hassock/status'); } catch {
        clearInterval(this.timer); this.timer = 0;
        return;
      }
      this.report = report;
      apps = report.apps;
      for (const client of clients) client.update(report);
    },
    // What to say about a handshake that failed, in the log and in the status.
    async whyRefused(path, target, startedAt) {
      let reply;
      try { reply = await json('/.hassock/refusal?target=' + encodeURIComponent(target)); } catch (e) {
        if (!e.status) return { what: `Could not connect to ${path}: the host does not respond. Is it running?`, status: 'the host does not respond' };
        return { what: `Could not connect to ${path}: the host responds with ${e.message}`, status: e.message };
      }
      this.watch();
      const { refusal } = reply;
      // An older one is about an earlier try. The allowance is for the clocks, which round.
      if (!refusal || refusal.age_ms > performance.now() - startedAt + 50) {
        return { what: `Could not connect to ${path}: the connection broke, or a server between this page and the host refused it`, status: 'not refused by the host' };
      }
      const { by, status, status_text, reason } = refusal;
      const code = `${status} ${status_text}`.trim();
      return { what: `The ${by} refused ${path} with ${code}` + (reason ? `: ${reason}` : ''), status: `${code}, refused by the ${by}` };
    },
  };
  async function json(url) {
    const response = await fetch(url, { cache: 'no-store' });
    if (response.ok) return response.json();
    throw Object.assign(new Error(`${response.status}: ${(await response.text()).trim()}`), { status: response.status });
  }

  // ---- apps and paths ----
  const firstPath = a => a.path.replace(/\*$/, '');
  function findApp(target) { // as the host does: an exact path first, then the longest one that ends in /*
    const path = target.split('?')[0];
    const below = apps.filter(a => a.path.endsWith('/*') && path.startsWith(firstPath(a)));
    return apps.find(a => a.path === path) || below.sort((a, b) => b.path.length - a.path.length)[0] || null;
  }
  function named() { // a path in the address of this page
    const hash = location.hash.slice(1);
    if (hash[0] === '/') return hash;
    if (/^%2f/i.test(hash)) try { return decodeURIComponent(hash); } catch { return ''; }
    const bare = /[?&]path=([^&]*\?.*)/.exec(location.search); // with a bare ? inside: all that follows
    return bare ? bare[1] : new URLSearchParams(location.search).get('path') || '';
  }
  function load() {
    const [first] = clients, path = named();
    first.fill(path || (apps.length ? firstPath(apps[0]) : '/'));
    if (path || apps.length) return first.connect();
    first.show('idle', 'No apps', 'this host serves no app yet. A path can still be tried.');
    first.log.add('notice', 'This host has no apps, so there is nothing to connect to.');
  }

  // ---- one client or two ----
  function toggleSecond() {
    const [first, second] = clients;
    if (second) {
      second.remove();
      clients = [first];
      current = first;
    } else {
      const added = new Client(2);
      clients = [first, added];
      added.fill(first.$('path').value);
      added.$('subprotocols').value = first.$('subprotocols').value;
      if (host.report) added.update(host.report);
      added.connect();
    }
    const both = clients.length === 2;
    document.body.classList.toggle('two', both);
    $('second').setAttribute('aria-pressed', String(both));
    $('tabs').hidden = !both;
    reveal(clients[clients.length - 1]);
    current.box.focus();
  }
  function reveal(client) { // on a phone only one is visible
    current = client;
    document.body.dataset.shown = client.number;
    for (const n of [1, 2]) $('tab-' + n).setAttribute('aria-pressed', String(n === client.number));
  }
  function other() {
    if (clients.length === 2) reveal(clients[2 - current.number]);
    current.box.focus();
  }

  // ---- keys ----
  const act = {
    c: () => current.connect(), q: () => current.quit(), k: () => current.log.clear(), m: () => current.box.focus(),
    p: () => current.$('path').focus(), l: () => current.$('log').focus(), r: () => current.retryNow(), s: toggleSecond, o: other,
  };
  addEventListener('keydown', e => {
    if (!e.altKey || e.ctrlKey || e.metaKey || e.shiftKey || $('help').open) return;
    const key = /^[a-z]$/i.test(e.key) ? e.key : e.code.replace(/^Key/, ''); // Option on a Mac types other letters
    const f = act[key.toLowerCase()];
    if (f) { e.preventDefault(); f(); }
  });
  $('second').addEventListener('click', toggleSecond);
  for (const n of [1, 2]) $('tab-' + n).addEventListener('click', () => reveal(clients[n - 1]));
  $('show-help').addEventListener('click', () => $('help').showModal());
  addEventListener('online', () => clients.forEach(client => client.retryNow()));
  addEventListener('hashchange', load);

  clients = [new Client(1)];
  reveal(clients[0]);
  try { apps = JSON.parse($('apps').textContent); } catch { current.log.add('error', 'The list of apps in this page cannot be read'); }
  load();
  host.watch();
})();
