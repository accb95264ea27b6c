"""In pppd's place, for kernels without PPP: speaks LCP and IPCP on standard input and output and carries real IP
packets between the PPP link and a tun device, ppp0. Called as pppd is, by pptpd, xl2tpd and pptp: of its
arguments it reads the one of the form OWN:PEER. Without one it is the client, and asks the peer for its address.

No authentication, no compression: what pppd would negotiate beyond the addresses is left out.
"""
import fcntl
import ipaddress
import os
import select
import struct
import subprocess
import sys
import tty

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
LCP, IPCP, IPV4 = 0xC021, 0x8021, 0x0021
REQUEST, ACK, NAK, ECHO_REQUEST, ECHO_REPLY = 1, 2, 3, 9, 10
MRU, MAGIC, ADDRESS = 1, 5, 3
FLAG, ESCAPE = 0x7E, 0x7D


def checksum(octets):
    """RFC 1662, appendix C.2."""
    sum = 0xFFFF
    for octet in octets:
        sum ^= octet
        for _ in range(8):
            sum = sum >> 1 ^ 0x8408 if sum & 1 else sum >> 1
    return struct.pack("<H", sum ^ 0xFFFF)


def send(protocol, payload):
    frame = b"\xff\x03" + struct.pack(">H", protocol) + payload
    out = bytearray([FLAG])
    for octet in frame + checksum(frame):
        out += bytes([ESCAPE, octet ^ 0x20]) if octet < 0x20 or octet in (FLAG, ESCAPE) else bytes([octet])
    out.append(FLAG)
    while out:
        del out[:os.write(1, out)]


def control(protocol, code, identifier, octets=b""):
    send(protocol, struct.pack(">BBH", code, identifier, 4 + len(octets)) + octets)


class Frames:
    """Frames out of a stream of octets."""

    def __init__(self):
        self.octets, self.escaped = bytearray(), False

    def feed(self, read):
        for octet in read:
            if octet == FLAG:
                frame, self.octets = bytes(self.octets), bytearray()
                if len(frame) > 6 and checksum(frame[:-2]) == frame[-2:]:
                    # The forwarding program may have taken the address and control field away.
                    yield frame[2:-2] if frame[:2] == b"\xff\x03" else frame[:-2]
            elif octet == ESCAPE:
                self.escaped = True
            else:
                self.octets.append(octet ^ 0x20 if self.escaped else octet)
                self.escaped = False


def addresses():
    for argument in sys.argv[1:]:
        own, _, peer = argument.partition(":")
        try:
            return ipaddress.IPv4Address(own), ipaddress.IPv4Address(peer)
        except ValueError:
            continue
    return ipaddress.IPv4Address(0), None


own, peer = addresses()
assigned = peer
tun = None
agreed = {LCP: set(), IPCP: set()}
frames = Frames()
magic = os.urandom(4)
try:
    tty.setraw(0)
except Exception:
    pass


def ask(protocol):
    if protocol == LCP:
        control(LCP, REQUEST, 1, struct.pack(">BBH", MRU, 4, 1400) + bytes([MAGIC, 6]) + magic)
    else:
        control(IPCP, REQUEST, 1, bytes([ADDRESS, 6]) + own.packed)


def opened():
    device = open("/dev/net/tun", "r+b", buffering=0)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"ppp0", IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "addr", "add", str(own), "peer", str(peer), "dev", "ppp0"], check=True)
    subprocess.run(["ip", "link", "set", "ppp0", "mtu", "1380", "up"], check=True)
    return device


def received(frame):
    global own, peer, tun
    protocol, payload = struct.unpack_from(">H", frame)[0], frame[2:]
    if protocol == IPV4:
        if tun:
            tun.write(payload)
        return
    if protocol not in agreed:
        return
    code, identifier, length = struct.unpack_from(">BBH", payload)
    options = payload[4:length]
    if code == REQUEST:
        if protocol == IPCP and options[:2] == bytes([ADDRESS, 6]):
            wanted = ipaddress.IPv4Address(options[2:6])
            if assigned and wanted != assigned:
                return control(IPCP, NAK, identifier, bytes([ADDRESS, 6]) + assigned.packed)
            peer = wanted
        control(protocol, ACK, identifier, options)
        agreed[protocol].add("peer")
    elif code == ACK:
        agreed[protocol].add("own")
    elif code == NAK and protocol == IPCP:
        own = ipaddress.IPv4Address(options[2:6])
        return ask(IPCP)
    elif code == ECHO_REQUEST:
        control(LCP, ECHO_REPLY, identifier, magic + options[4:])
    if agreed[LCP] == {"own", "peer"} and "own" not in agreed[IPCP]:
        ask(IPCP)
    if agreed[IPCP] == {"own", "peer"} and not tun:
        tun = opened()


ask(LCP)
while True:
    readable = select.select([0] + ([tun] if tun else []), [], [], 2)[0]
    if not readable:
        pending = next((protocol for protocol in (LCP, IPCP) if "own" not in agreed[protocol]), None)
        if pending:
            ask(pending)
    for ready in readable:
        if ready == 0:
            octets = os.read(0, 4096)
            if not octets:
                sys.exit()
            for frame in frames.feed(octets):
                received(frame)
        else:
            packet = tun.read(65535)
            if packet[0] >> 4 == 4:
                send(IPV4, packet)
