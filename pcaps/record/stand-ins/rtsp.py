"""A tone by RTSP on 554 (GStreamer's RTSP server)."""
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("0.0.0.0")
server.set_service("554")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( audiotestsrc ! audioconvert ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay0 pt=8 )")
server.get_mount_points().add_factory("/tone", factory)
server.attach(None)
GLib.MainLoop().run()
