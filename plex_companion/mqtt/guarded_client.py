"""The client of aiomqtt without one of its races. Importing this module imports the extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiomqtt import Client

if TYPE_CHECKING:
    import paho.mqtt.client as paho


class GuardedClient(Client):
    """A client that registers no socket that is closed.

    A message that finds the connection broken closes the socket, but aiomqtt 2.5 has already asked the event loop to watch
    it: the loop reports a bad descriptor, or watches another socket that got its number.
    """

    def _on_socket_register_write(self, client: paho.Client, _userdata: Any, sock: Any) -> None:
        def write() -> None:
            try:
                client.loop_write()
            except OSError as error:
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def register() -> None:
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(register)
