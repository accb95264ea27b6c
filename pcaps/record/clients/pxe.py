"""A machine that boots by network: a broadcast DHCPDISCOVER that names itself PXEClient, then a DHCPREQUEST to
the boot server's port 4011 (the Boot Information Negotiation Layer)."""
import socket

from scapy.config import conf
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.sendrecv import srp1

conf.checkIPaddr = False
conf.verb = 0
ADDRESS, SERVER = "10.20.0.101", "10.20.0.10"
HARDWARE = "02:00:0a:14:00:65"
BOOT_SERVER_TYPE_32768 = bytes([71, 4, 0x80, 0, 0, 0, 255])  # option 43, sub-option 71: the type dnsmasq gives

options = [
    ("vendor_class_id", b"PXEClient:Arch:00000:UNDI:002001"),
    ("pxe_client_architecture", b"\x00\x00"),
    ("pxe_client_network_interface", b"\x01\x02\x01"),
    ("pxe_client_machine_identifier", b"\x00" + bytes(range(16))),
    ("param_req_list", [1, 3, 43, 60, 66, 67]),
]
client = bytes.fromhex(HARDWARE.replace(":", ""))
discover = (Ether(src=HARDWARE, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
            / BOOTP(chaddr=client, xid=0x1234, flags=0x8000) / DHCP(options=[("message-type", "discover"), *options, "end"]))
offer = srp1(discover, iface="eth0", timeout=4)
print(offer.summary() if offer else "no offer")

request = (BOOTP(chaddr=client, xid=0x1235, ciaddr=ADDRESS)
           / DHCP(options=[("message-type", "request"), *options, (43, BOOT_SERVER_TYPE_32768), "end"]))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
    datagrams.bind((ADDRESS, 68))
    datagrams.settimeout(3)
    datagrams.sendto(bytes(request), (SERVER, 4011))
    print(len(datagrams.recv(2048)))
