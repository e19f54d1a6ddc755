'use strict';
(() => {
  // ---- texts: sizes, times, JSON, close codes ----
  const MAX_CHARS = 20000, MAX_HEX = 64, MAX_TOKENS = 2000;
  const utf8 = new TextEncoder();
  const CODES = {
    1000: ['normal closure', 'the connection had done its work'],
    1001: ['going away', 'the host is stopping, or the page was left'],
    1002: ['protocol error', 'one side broke the rules of the WebSocket protocol'],
    1003: ['unsupported data', 'a kind of message that the app does not accept, such as binary'],
    1005: ['no code', 'the close frame carried no code'],
    1006: ['abnormal closure', 'the connection was lost without a close frame'],
    1007: ['invalid data', 'a message did not match its type, such as text that is not UTF-8'],
    1008: ['policy violation', 'a message broke a rule of the app'],
    1009: ['message too big', 'a message was larger than the receiver allows'],
    1010: ['extension missing', 'the client needs an extension that the server did not offer'],
    1011: ['internal error', 'the app or the host failed unexpectedly'],
    1012: ['service restart', 'the app or the host is restarting'],
    1013: ['try again later', 'the host or the app is overloaded'],
    1014: ['bad gateway', 'a gateway received an invalid response from the server behind it'],
    1015: ['TLS failure', 'the TLS handshake failed'],
  };
  const meaning = code => CODES[code] || (code >= 4000 ? ['app code', 'the app defines the meaning'] :
    code >= 3000 ? ['registered code', 'a library or framework defines it'] : ['unknown code', 'RFC 6455 does not define it']);

  const el = (tag, cls, text) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const two = (n, width = 2) => String(n).padStart(width, '0');
  const clock = d => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${two(d.getMilliseconds(), 3)}`;
  const cut = s => s.length > MAX_CHARS ? s.slice(0, MAX_CHARS) + `\n… ${s.length - MAX_CHARS} more characters` : s;
  const size = n => n < 1024 ? n + ' B' : n < 1048576 ? (n / 1024).toFixed(1) + ' KiB' : (n / 1048576).toFixed(1) + ' MiB';
  const bytes = s => utf8.encode(s).length;
  const millis = ms => ms < 10 ? ms.toFixed(1) + ' ms' : ms < 1000 ? Math.round(ms) + ' ms' : (ms / 1000).toFixed(1) + ' s';

  function hex(buffer) {
    const head = new Uint8Array(buffer, 0, Math.min(buffer.byteLength, MAX_HEX));
    const more = buffer.byteLength - head.length;
    return Array.from(head, b => b.toString(16).padStart(2, '0')).join(' ') + (more ? ` … ${more} more bytes` : '');
  }

  function isJson(s) {
    if (s.length > MAX_CHARS || !/^\s*[\[{]/.test(s)) return false;
    try { JSON.parse(s); return true; } catch { return false; }
  }

  // Indents JSON without changing its numbers, the order of its keys or repeated keys.
  function indent(s) {
    let depth = 0;
    const nl = () => '\n' + '  '.repeat(depth);
    return s.replace(/"(?:[^"\\]|\\.)*"|([\[{])\s*([\]}])|[\[{]|[\]}]|,|:|\s+/g, (m, open, shut) => {
      if (open) return open + shut;
      if (m[0] === '"') return m;
      if (m === '[' || m === '{') { depth++; return m + nl(); }
      if (m === ']' || m === '}') { depth--; return nl() + m; }
      return m === ',' ? m + nl() : m === ':' ? ': ' : '';
    });
  }

  // Writes JSON into an element, in colours. Its text stays exactly as it is.
  function paint(element, s) {
    const token = /("(?:[^"\\]|\\.)*")(?=(\s*:)?)|-?\d[\d.eE+-]*|true|false|null|[[\]{},:]+/g;
    let at = 0, count = 0;
    for (let m; count < MAX_TOKENS && (m = token.exec(s)); count++) {
      if (m.index > at) element.append(s.slice(at, m.index));
      const kind = m[1] ? (m[2] ? 'k' : 's') : /^[-\d]/.test(m[0]) ? 'n' : /^[tfn]/.test(m[0]) ? 'l' : 'p';
      element.append(el('span', kind, m[0]));
      at = token.lastIndex;
    }
    element.append(s.slice(at));
  }

