  // ---- the log of a client ----
  const MAX_ROWS = 1000;
  const MARKS = { sent: '↑', received: '↓', notice: '·', error: '!', version: '↻' };

  class Log {
    // $ finds an element of the client by its name.
    constructor($) {
      this.$ = $;
      this.box = $('log');
      this.rows = 0;
      this.follow = true; // keep the newest row in sight
      this.drawing = false;
      this.lastShape = '';
      this.box.addEventListener('scroll', () => {
        if (!this.drawing && this.shape() === this.lastShape) this.follow = this.isAtEnd();
        this.counted();
      });
      new ResizeObserver(() => { // for example when the status grows, or a phone is turned
        this.lastShape = this.shape();
        if (this.follow) this.toEnd();
      }).observe(this.box);
      $('newest').addEventListener('click', () => { this.toEnd(); this.box.focus(); });
      $('clear').addEventListener('click', () => this.clear());
      $('pretty').addEventListener('change', () => this.repaint());
    }
    shape() { return this.box.clientWidth + 'x' + this.box.clientHeight; }
    isAtEnd() { return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40; }
    toEnd() { this.box.scrollTop = this.box.scrollHeight; }

    add(kind, text, meta = '') {
      const row = el('div', 'row ' + kind), mark = el('span', 'dir', MARKS[kind]);
      mark.role = 'img'; mark.ariaLabel = kind;
      row.append(el('time', '', clock(new Date())), mark, this.text(kind, text), el('span', 'meta', meta));
      if (kind === 'received') row.raw = text;
      if (!this.drawing) { // once per frame: a flood of messages must not lay out the page for each of them
        this.drawing = true;
        this.follow = this.isAtEnd() || (this.follow && this.shape() !== this.lastShape);
        requestAnimationFrame(() => {
          this.drawing = false;
          if (this.follow) this.toEnd();
          this.counted();
        });
      }
      this.box.append(row);
      if (++this.rows > MAX_ROWS) { this.box.firstChild.remove(); this.rows--; }
      return row;
    }
    text(kind, raw) {
      const text = el('span', 'text');
      if ((kind === 'sent' || kind === 'received') && isJson(raw)) {
        text.classList.add('json');
        paint(text, kind === 'received' && this.$('pretty').checked ? indent(raw) : raw);
      } else text.textContent = cut(raw);
      return text;
    }
    repaint() {
      for (const row of this.box.children) {
        if (row.raw !== undefined) row.querySelector('.text').replaceWith(this.text('received', row.raw));
      }
      if (this.follow) this.toEnd();
      this.counted();
    }
    counted() {
      const full = this.rows === MAX_ROWS ? ', the newest' : '';
      this.$('count').textContent = this.rows ? this.rows + (this.rows === 1 ? ' row' : ' rows') + full : '';
      this.$('newest').hidden = this.isAtEnd();
    }
    clear() { this.box.replaceChildren(); this.rows = 0; this.counted(); }
  }

