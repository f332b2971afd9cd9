# SPDX-License-Identifier: MIT
"""Just enough of AMQP 0-9-1 to publish to a queue."""
import socket
import struct


def short(text):
    return bytes([len(text)]) + text.encode()


def long(data):
    return struct.pack(">I", len(data)) + data


class Publisher:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(b"AMQP\x00\x00\x09\x01")
        self._await(10, 10)
        self._method(0, 10, 11, long(b"") + short("PLAIN") + long(b"\0guest\0guest") + short("en_US"))
        self._await(10, 30)
        self._method(0, 10, 31, struct.pack(">HIH", 2, 131072, 0))
        self._method(0, 10, 40, short("/") + short("") + b"\0")
        self._await(10, 41)
        self._method(1, 20, 10, short(""))
        self._await(20, 11)

    def close(self):
        self.stream.close()
        self.socket.close()

    def _frame(self, kind, channel, payload):
        self.socket.sendall(struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce")

    def _method(self, channel, class_id, method_id, arguments):
        self._frame(1, channel, struct.pack(">HH", class_id, method_id) + arguments)

    def _await(self, class_id, method_id):
        while True:
            kind, _, length = struct.unpack(">BHI", self.stream.read(7))
            payload = self.stream.read(length + 1)
            if kind == 1 and struct.unpack(">HH", payload[:4]) == (class_id, method_id):
                return
            if kind == 1 and payload[:4] in (b"\0\x0a\0\x32", b"\0\x14\0\x28"):
                raise AssertionError(f"the broker closed: {payload!r}")

    def declare(self, queue):
        self._method(1, 50, 10, b"\0\0" + short(queue) + b"\x02" + long(b""))
        self._await(50, 11)

    def publish(self, queue, body, message_id):
        body = body.encode()
        properties = struct.pack(">HB", 0x1080, 2) + short(message_id)  # delivery mode, message id
        self._method(1, 60, 40, b"\0\0" + short("") + short(queue) + b"\0")
        self._frame(2, 1, struct.pack(">HHQ", 60, 0, len(body)) + properties)
        self._frame(3, 1, body)
