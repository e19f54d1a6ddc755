  // ---- a client: one connection at a time, with its form, its log and its message ----
  const MAX_HISTORY = 100;
  const FIRST_WAIT = 500, LAST_WAIT = 15000, STEADY = 1000; // milliseconds; open for less counts as a failure
  const RETRY_CODES = [1001, 1006, 1011, 1012, 1013];

  class Client {
    constructor(number) {
      this.number = number;
      const section = $('client').content.firstElementChild.cloneNode(true);
      section.id = 'client-' + number;
      for (const e of section.querySelectorAll('[id], [for], [aria-labelledby], [aria-describedby]')) this.rename(e);
      this.rename(section);
      $('clients').append(section);
      this.section = section;
      this.$('client-name').textContent = 'Client ' + number;
      this.log = new Log(name => this.$(name));
      this.box = this.$('message');
      this.sock = this.target = this.app = this.failure = null;
      this.next = this.quitting = this.opened = false;
      this.attempt = this.tries = this.timer = this.retryAt = this.startedAt = this.openedAt = this.sentAt = 0;
      this.wait = FIRST_WAIT;
      this.history = []; this.at = 0; this.draft = '';
      this.seen = {};
      this.listen();
    }
    // The ids of the first client are those of the template; the second one's end in -2.
    id(name) { return this.number === 1 ? name : `${name}-${this.number}`; }
    $(name) { return $(this.id(name)); }
    rename(e) {
      if (e.id && e !== this.section && !e.id.startsWith('client-' + this.number)) e.id = this.id(e.id);
      for (const a of ['for', 'aria-labelledby', 'aria-describedby']) if (e.hasAttribute(a)) e.setAttribute(a, this.id(e.getAttribute(a)));
    }
    listen() {
      const on = (name, event, f) => this.$(name).addEventListener(event, f);
      on('target', 'submit', e => { e.preventDefault(); this.connect(); });
      on('composer', 'submit', e => { e.preventDefault(); this.send(); this.box.focus(); });
      on('quit', 'click', () => this.quit());
      on('reconnect', 'click', () => this.retryNow());
      on('app', 'change', () => { this.$('path').value = firstPath(apps[this.$('app').selectedIndex]); this.match(); });
      on('path', 'input', () => this.match());
      on('message', 'input', () => this.fit());
      on('message', 'keydown', e => this.key(e));
      this.section.addEventListener('focusin', () => { current = this; });
    }
    fill(path) {
      const select = this.$('app');
      select.replaceChildren(...apps.map(a => new Option(a.app, a.path)));
      if (!apps.length) select.append(new Option('no apps'));
      select.disabled = !apps.length;
      if (path !== undefined) this.$('path').value = path;
      this.match();
    }

    // ---- what the host says about the app of the path ----
    match() { // shows the app that the path belongs to, or none
      const app = findApp(this.$('path').value);
      this.$('app').selectedIndex = apps.indexOf(app);
      if (app !== this.app) {
        this.app = app;
        this.showApp();
      }
    }
    showApp() {
      const { version, canary, samples = [] } = this.app || {};
      const line = this.$('version');
      line.hidden = !version;
      line.replaceChildren('version ', el('code', '', version));
      if (canary) line.append(`, ${canary.share} of the connections: `, el('code', '', canary.version));
      const box = this.$('samples'), listed = JSON.stringify(samples);
      if (box.dataset.samples === listed) return;
      box.dataset.samples = listed;
      box.hidden = !samples.length;
      box.replaceChildren(...samples.map(text => {
        const button = el('button', '', text);
        button.type = 'button'; button.title = text;
        button.addEventListener('click', () => { this.box.value = text; this.fit(); this.box.focus(); });
        return button;
      }));
    }
    // The host's newest report. Rows tell what has changed since the last one.
    update(report) {
      this.fill();
      const { app, seen } = this, failure = report.build_failure;
      const failed = failure && failure.number + failure.reason;
      if (failed && failed !== seen.failed) this.log.add('error', 'The build failed; the running version continues to serve. ' + failure.reason);
      seen.failed = failed;
      if (app && seen.app === app.app) this.compare(app);
      Object.assign(seen, app ? { app: app.app, version: app.version, canary: app.canary, refusals: app.refusals } : { app: '' });
    }
    compare(app) {
      const { version, canary, refusals } = this.seen, { log } = this;
      if (app.refusals > refusals) {
        log.add('error', `The host refused a new version; ${app.version} continues to serve. ${app.refusal.reason}`);
      }
      if (app.canary && app.canary.version !== canary?.version) {
        log.add('version', `Version ${app.canary.version} serves ${app.canary.share} of the connections as a canary`);
      } else if (canary && !app.canary && app.version !== canary.version) {
        log.add('version', `Version ${canary.version} is not a canary any more`);
      }
      if (app.version === version) return;
      log.add('version', `Version ${app.version} took over from ${version}`);
      if (this.timer) this.retryNow(); // it may accept what the one before has refused
    }

    // ---- connection ----
    show(state, word, detail = '') {
      this.$('bar').dataset.state = state;
      this.$('status').replaceChildren(el('b', '', word), document.createTextNode(detail && ' – ' + detail));
      this.$('connect').textContent = state === 'open' ? 'Reconnect' : 'Connect';
      this.$('quit').setAttribute('aria-disabled', String(!(this.sock || this.timer)));
      this.$('send').setAttribute('aria-disabled', String(state !== 'open'));
      if (this.number === 1) document.title = word + (this.target ? ' · ' + this.target.path : '') + ' – Hassock';
    }
    stopWaiting() {
      clearInterval(this.timer); this.timer = 0;
      if (this.$('retry').contains(document.activeElement)) this.box.focus();
      this.$('retry').hidden = true;
    }
    retryNow() { if (this.timer) this.open(); }
    retryLater() {
      const ms = this.wait * (0.8 + 0.4 * Math.random());
      this.wait = Math.min(this.wait * 2, LAST_WAIT);
      this.retryAt = Date.now() + Math.min(ms, LAST_WAIT);
      const tick = () => {
        const left = this.retryAt - Date.now();
        if (left <= 0) return this.open();
        this.$('countdown').textContent = `Retry in ${(left / 1000).toFixed(1)} s`;
      };
      this.timer = setInterval(tick, 100);
      this.$('retry').hidden = false;
      this.$('quit').setAttribute('aria-disabled', 'false');
      tick();
    }

    // Connects with the path and subprotocols that are in the fields.
    connect() {
      let path = this.$('path').value.trim().replace(/#/g, '%23');
      if (path[0] !== '/') path = '/' + path;
      this.$('path').value = path;
      this.match();
      this.target = { path, subprotocols: this.$('subprotocols').value.split(/[\s,]+/).filter(Boolean) };
      this.tries = 0; this.wait = FIRST_WAIT; this.failure = null;
      if (this.sock && this.sock.readyState === WebSocket.OPEN) { // the old connection closes first
        this.next = true;
        this.sock.close(1000, 'connecting anew');
        this.show('closing', 'Closing', 'then connecting to ' + path);
      } else this.open();
    }

    open() {
      this.stopWaiting();
      const old = this.sock;
      this.sock = null; // its events do not count any more
      if (old) old.close();
      this.next = this.quitting = this.opened = false;
      this.attempt++;
      this.tries++;
      const { path, subprotocols } = this.target, { tries } = this;
      const url = (location.protocol === 'https:' ? 'wss://' : 'ws://') + location.host + path;
      this.startedAt = performance.now();
      let s;
      try { s = new WebSocket(url, subprotocols); } catch (e) {
        this.show('failed', 'Cannot connect', 'the path or the subprotocols are not valid');
        return void this.log.add('error', 'Cannot connect: ' + e.message);
      }
      this.sock = s;
      s.binaryType = 'arraybuffer';
      if (tries === 1) this.log.add('notice', `Connecting to ${url}` + (subprotocols.length ? `, subprotocols ${subprotocols.join(', ')}` : ''));
      this.show('connecting', 'Connecting', path + (tries > 1 ? ` (try ${tries})` : '') + ' …');
      s.onopen = () => {
        if (s !== this.sock) return;
        this.opened = true; this.openedAt = performance.now(); this.sentAt = 0; this.failure = null;
        const took = millis(this.openedAt - this.startedAt), sub = s.protocol ? 'subprotocol ' + s.protocol : 'no subprotocol';
        this.log.add('notice', `Open after ${took}, ${sub}` + (s.extensions ? ', extensions ' + s.extensions : ''));
        this.show('open', 'Open', `${path}, ${sub}, connected in ${took}`);
        host.watch();
      };
      s.onmessage = e => { if (s === this.sock) this.received(e.data); };
      s.onclose = e => { if (s === this.sock) this.closed(e); };
    }
    received(data) {
      const delay = this.sentAt ? ` · +${millis(performance.now() - this.sentAt)}` : '';
      this.sentAt = 0;
      if (typeof data === 'string') this.log.add('received', data, size(bytes(data)) + delay);
      else this.log.add('received', hex(data), 'binary ' + size(data.byteLength) + delay);
    }

    closed(e) {
      this.sock = null;
      if (!this.opened && !this.quitting && !this.next) return void this.refused();
      const [name, why] = meaning(e.code), reason = e.reason ? `, reason: ${e.reason}` : '';
      if (this.opened && performance.now() - this.openedAt > STEADY) { this.tries = 0; this.wait = FIRST_WAIT; }
      if (!this.opened) {
        this.log.add('notice', 'Stopped before it was open');
        this.show('idle', 'Closed', 'stopped before it was open');
      } else {
        const fine = this.quitting || this.next || e.code === 1000 || e.code === 1005;
        this.log.add(fine ? 'notice' : 'error', `Closed with ${e.code}, ${name}: ${why}${reason}`);
        this.show(fine ? 'idle' : 'failed', 'Closed', `${e.code} ${name}${reason}`);
      }
      if (this.next) return this.open();
      if (!this.quitting && RETRY_CODES.includes(e.code)) this.retryLater();
    }
    // The browser does not tell pages why a handshake failed, but the host tells its own page.
    async refused() {
      const { attempt, startedAt } = this, { path, subprotocols } = this.target;
      this.show('failed', 'Could not connect', path);
      const url = new URL(path, location.origin);
      const { what, status } = await host.whyRefused(path, url.pathname + url.search, startedAt);
      if (attempt !== this.attempt) return;
      const offered = subprotocols.length ? ` (subprotocols ${subprotocols.join(', ')})` : '';
      this.failedAgain(what + offered);
      this.show('failed', 'Could not connect', status);
      this.retryLater();
    }
    // One row for all tries that fail for the same reason.
    failedAgain(text) {
      if (this.failure?.text === text && this.failure.row.isConnected) {
        this.failure.row.querySelector('.meta').textContent = `${++this.failure.count} tries, last ${clock(new Date()).slice(0, 8)}`;
      } else this.failure = { text, count: 1, row: this.log.add('error', text) };
    }

    quit() {
      this.next = false;
      if (this.timer || (!this.sock && this.$('bar').dataset.state === 'failed')) {
        this.attempt++;
        this.stopWaiting();
        this.log.add('notice', 'Reconnecting stopped');
        this.show('idle', 'Closed', 'reconnecting stopped');
      } else if (this.sock) {
        this.quitting = true;
        this.sock.close(1000, 'quit');
        this.show('closing', 'Closing', 'with 1000');
      }
    }
    remove() {
      this.attempt++;
      this.stopWaiting();
      const s = this.sock;
      this.sock = null;
      if (s) s.close(1000, 'quit');
      this.section.remove();
    }

    // ---- message ----
    fit() {
      this.box.style.height = 'auto';
      this.box.style.height = Math.min(this.box.scrollHeight + 2, innerHeight * 0.3) + 'px';
    }
    send() {
      const text = this.box.value;
      if (!text) return;
      if (!this.sock || this.sock.readyState !== WebSocket.OPEN) return void this.log.add('error', 'Not sent: the connection is not open');
      this.sock.send(text);
      this.sentAt = performance.now();
      this.log.add('sent', text, size(bytes(text)));
      if (this.history[this.history.length - 1] !== text) this.history.push(text);
      if (this.history.length > MAX_HISTORY) this.history.shift();
      this.at = this.history.length;
      this.box.value = this.draft = '';
      this.fit();
    }
    recall(step) {
      if (this.at + step < 0 || this.at + step > this.history.length) return;
      if (this.at === this.history.length) this.draft = this.box.value;
      this.at += step;
      this.box.value = this.at === this.history.length ? this.draft : this.history[this.at];
      this.fit();
    }
    key(e) {
      if (e.isComposing || e.altKey || e.ctrlKey || e.metaKey) return;
      const { box } = this;
      if (e.key === 'Enter' && !e.shiftKey) { e.preventDefault(); this.send(); }
      if (e.shiftKey || box.selectionStart !== box.selectionEnd) return;
      const up = e.key === 'ArrowUp' && !box.value.slice(0, box.selectionStart).includes('\n');
      const down = e.key === 'ArrowDown' && !box.value.slice(box.selectionEnd).includes('\n');
      if (up || down) { e.preventDefault(); this.recall(up ? -1 : 1); }
    }
  }

