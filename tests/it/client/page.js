(() => {
  // What a page does with the library: two clients, of which one subscribes by itself, and the module subscribes the other. All
  // they get is in `page`. `page.ready` says that both are subscribed.
  const page = (window.page = { clients: {}, ready: false });
  const events = ['open', 'close', 'reconnecting', 'recovered', 'gap', 'message', 'error'];
  import('/hassock.js').then(({ connect }) => {
    const client = (name, path) => {
      const one = { numbers: [], events: [] };
      one.client = connect(path, { backoff: { base: 50, cap: 400 } });
      for (const kind of events) one.client.on(kind, (event) => one.events.push([kind, event]));
      one.handler = (text) => one.numbers.push(Number(text));
      one.count = (kind) => one.events.filter(([other]) => other === kind).length;
      // Whether everything up to a number has come, once and in order.
      one.hasAll = (last) => one.numbers.length === last && one.numbers.every((number, index) => number === index + 1);
      return (page.clients[name] = one);
    };
    const own = client('own', '/probe');
    const { ready } = own.client.subscribe('numbers', own.handler);
    const guest = client('guest', '/probe?topic=numbers');
    guest.client.listen('numbers', guest.handler);
    const opened = new Promise((resolve) => guest.client.on('open', resolve));
    Promise.all([ready, opened]).then(() => (page.ready = true));
  });
  return true;
})()
