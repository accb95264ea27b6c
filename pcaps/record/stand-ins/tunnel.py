"""A tunnel endpoint in user space, for kernels without GRE, IP-in-IP or IPsec.

    tunnel.py gre|ipip|esp|ah PEER [KEY]

What the host routes into tun0 leaves eth0 wrapped and addressed to PEER; what PEER sends comes out of tun0.
ESP and AH use fixed keys that both ends know. With gre, KEY is the key field; without it there is none.
"""
import fcntl
import select
import socket
import struct
import sys

from scapy.layers.inet import IP
from scapy.layers.ipsec import AH, ESP, SecurityAssociation

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
SO_BINDTODEVICE, IP_HDRINCL = 25, 3
GRE_KEY_PRESENT, ETHERTYPE_IPV4 = 0x2000, 0x0800
PROTOCOLS = {"gre": 47, "ipip": 4, "esp": 50, "ah": 51}

kind, peer = sys.argv[1], sys.argv[2]
key = int(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[3] else None

tun = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"tun0", IFF_TUN | IFF_NO_PI))
wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOLS[kind])
# Bound to the device, so that a packet to PEER itself does not go round through tun0 again.
wire.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0")
wire.connect((peer, 0))
if kind in ("esp", "ah"):
    wire.setsockopt(socket.IPPROTO_IP, IP_HDRINCL, 1)

if kind == "esp":
    association = SecurityAssociation(ESP, spi=0x1001, crypt_algo="AES-CBC", crypt_key=bytes(range(16)),
                                      auth_algo="SHA2-256-128", auth_key=bytes(range(32)))
elif kind == "ah":
    association = SecurityAssociation(AH, spi=0x1002, auth_algo="HMAC-SHA1-96", auth_key=bytes(range(20)))


def wrapped(packet):
    """What follows the outer IP header; for ESP and AH, the header as well."""
    if kind == "ipip":
        return packet
    if kind == "gre":
        if key is None:
            return struct.pack(">HH", 0, ETHERTYPE_IPV4) + packet
        return struct.pack(">HHI", GRE_KEY_PRESENT, ETHERTYPE_IPV4, key) + packet
    # Transport mode: the packet keeps its own header. AH protects its identification, which the kernel would
    # choose if it were 0.
    packet = IP(packet)
    packet.id = packet.id or 1
    return bytes(association.encrypt(packet))


def unwrapped(datagram):
    header = (datagram[0] & 15) * 4
    if kind == "ipip":
        return datagram[header:]
    if kind == "gre":
        flags = struct.unpack_from(">H", datagram, header)[0]
        return datagram[header + (8 if flags & GRE_KEY_PRESENT else 4):]
    return bytes(association.decrypt(IP(datagram)))


while True:
    for ready in select.select([tun, wire], [], [])[0]:
        if ready is tun:
            packet = tun.read(65535)
            if packet[0] >> 4 == 4:
                wire.send(wrapped(packet))
        else:
            try:
                tun.write(unwrapped(wire.recv(65535)))
            except Exception as error:
                print(error, file=sys.stderr, flush=True)
