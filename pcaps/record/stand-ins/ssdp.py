"""A root device that announces itself by SSDP (GSSDP) and says goodbye when it is ended: ssdp.py ADDRESS"""
import signal
import sys

import gi

gi.require_version("GSSDP", "1.6")
from gi.repository import GLib, GSSDP

client = GSSDP.Client.new_full("eth0", None, 1900, GSSDP.UDAVersion.VERSION_1_0)
client.set_server_id("UPnP/1.0")
group = GSSDP.ResourceGroup.new(client)
usn = "uuid:6f66666963-0000-0000-0000-000000000012::upnp:rootdevice"
group.add_resource_simple("upnp:rootdevice", usn, f"http://{sys.argv[1]}:2869/device.xml")
group.set_available(True)
loop = GLib.MainLoop()
GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, lambda: (group.set_available(False), GLib.timeout_add(300, loop.quit)))
loop.run()
