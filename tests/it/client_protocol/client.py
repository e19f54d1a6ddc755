"""A client of hassock.v1: it connects again for ever, and misses nothing. Usage: client.py URL TOPIC

It prints a line of JSON for each event. It needs the package `websockets`. The contract is the page "The client protocol".
"""
import asyncio
import base64
import json
import random
import sys

import websockets


class Client:
    def __init__(self, url, on_message, on_event):
        self.url, self.on_message, self.on_event = url, on_message, on_event
        self.positions, self.ids, self.requests, self.delay = {}, {}, {}, 0.5

    async def run(self):
        while True:
            try:
                await self.connection()
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                pass
            for request in self.requests.values():
                request.cancel()
            self.requests.clear()
            if self.delay is None:
                return
            await asyncio.sleep(self.delay * random.random())
            self.delay = min(self.delay * 2, 30)

    async def connection(self):
        state = json.dumps({"since": self.positions}).encode()
        state = base64.urlsafe_b64encode(state).rstrip(b"=").decode()
        subprotocols = ["hassock.v1", "hassock.v1." + state]
        async with websockets.connect(self.url, subprotocols=subprotocols) as self.socket:
            patience = 10
            while True:
                message = await asyncio.wait_for(self.socket.recv(), patience)
                is_text = isinstance(message, str)
                header, _, payload = message.partition("\n" if is_text else b"\n")
                header = json.loads(header or "{}")
                kind = header.get("type", "message")
                if kind == "connected":
                    patience, self.delay = header["heartbeat"] / 1000 + 10, 0.5
                if "position" in header:
                    self.positions[header["topic"]] = header["position"]
                if kind == "heartbeat":
                    await self.send("", {"type": "heartbeat"})
                elif kind == "closing":
                    self.delay = header["after"] / 1000 + 0.5 if header["reconnect"] else None
                elif kind in ("reply", "error"):
                    self.requests.pop(header["request"]).set_result((header, payload))
                elif kind != "message":
                    self.on_event(header)
                elif header.get("id") not in self.ids:
                    if "id" in header:
                        self.ids[header["id"]] = True
                        if len(self.ids) > 1000:
                            del self.ids[next(iter(self.ids))]
                    self.on_message(header.get("topic"), payload)

    async def send(self, payload, header=None):
        await self.socket.send((json.dumps(header) if header else "") + "\n" + payload)

    async def request(self, payload, timeout=10):
        number = random.getrandbits(50)
        self.requests[number] = asyncio.get_running_loop().create_future()
        await self.send(payload, {"type": "request", "request": number})
        return await asyncio.wait_for(self.requests[number], timeout)


if __name__ == "__main__":
    def say(*event):
        print(json.dumps(event), flush=True)

    asyncio.run(Client(sys.argv[1], lambda topic, payload: say(topic, payload), say).run())
