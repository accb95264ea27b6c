"""Puts recorded Ethernet frames into other wrappings: rewrap.py KIND IN OUT

qinq       802.1ad service tag 200 and 802.1Q tag 20
mpls       two labels, 1000 and 17
fragments  IPv4 packets with more than 128 bytes of payload, cut into pieces of 128, the first pair of each in
           reverse order
Times are kept.
"""
import sys

from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, fragment
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.utils import PcapReader, PcapWriter

kind, source, target = sys.argv[1:]


def wrapped(frame):
    if IP not in frame:
        return [frame] if kind != "mpls" else []
    if kind == "qinq":
        return [Ether(src=frame.src, dst=frame.dst) / Dot1AD(vlan=200) / Dot1Q(vlan=20) / frame[IP]]
    if kind == "mpls":
        return [Ether(src=frame.src, dst=frame.dst, type=0x8847) / MPLS(label=1000, s=0, ttl=64) / MPLS(label=17, s=1, ttl=64) / frame[IP]]
    packet = frame[IP]
    packet.flags = 0  # was: do not fragment
    del packet.chksum
    pieces = [Ether(src=frame.src, dst=frame.dst) / piece for piece in fragment(packet, 128)]
    pieces[:2] = reversed(pieces[:2])
    return pieces


with PcapReader(source) as frames, PcapWriter(target, linktype=1) as out:
    for frame in frames:
        for new in wrapped(frame):
            new.time = frame.time
            out.write(new)
