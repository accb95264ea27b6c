"""The connectionless DCE/RPC protocol (C706, chapter 12) by hand: no server to record it from is to be had.

    connectionless_rpc.py serve PORT                 an endpoint mapper on UDP 135 that knows one interface,
                                                     msgsvcsend (the Messenger service), on UDP PORT
    connectionless_rpc.py send SERVER big|little     asks the mapper for msgsvcsend and sends a message there
    connectionless_rpc.py send-to SERVER PORT        sends a message to a port without asking
"""
import os
import select
import socket
import struct
import sys
import uuid

EPM = (uuid.UUID("e1af8308-5d1f-11c9-91a4-08002b14a0fa"), 3)
MSGSVCSEND = (uuid.UUID("5a7b91f8-ff00-11d0-a9b2-00c04fb6e6fc"), 1)
NDR = (uuid.UUID("8a885d04-1ceb-11c9-9fe8-08002b104860"), 2)
EPT_MAP, SEND_MESSAGE = 3, 0
REQUEST, RESPONSE = 0, 2
IDEMPOTENT, NO_ACK = 0x20, 0x08
NOT_REGISTERED = 0x16C9A0D6
HEADER = 80
ORDERS = {"little": ("<", 0x10), "big": (">", 0x00)}


def wire(identifier, order):
    return identifier.bytes_le if order == "<" else identifier.bytes


def header(order, kind, interface, activity, operation, length, sequence):
    representation = 0x10 if order == "<" else 0
    return (struct.pack("8B", 4, kind, IDEMPOTENT | NO_ACK, 0, representation, 0, 0, 0) + bytes(16)
            + wire(interface[0], order) + wire(activity, order)
            + struct.pack(order + "IIIHHHHHBB", 0, interface[1], sequence, operation, 0xFFFF, 0xFFFF, length, 0, 0, 0))


def parsed(datagram):
    """Kind, byte order, interface, activity, sequence and body of a datagram."""
    order = "<" if datagram[4] & 0x10 else ">"
    ids = [uuid.UUID(bytes_le=datagram[at:at + 16]) if order == "<" else uuid.UUID(bytes=datagram[at:at + 16]) for at in (24, 40)]
    _, version, sequence = struct.unpack_from(order + "III", datagram, 56)
    return datagram[1], order, (ids[0], version), ids[1], sequence, datagram[HEADER:]


def tower(interface, port, address):
    """Towers are little-endian whatever the call is (C706, appendix L)."""
    def floor(left, right):
        return struct.pack("<H", len(left)) + left + struct.pack("<H", len(right)) + right

    def syntax(identifier, version):
        return b"\x0d" + identifier.bytes_le + struct.pack("<H", version)

    return struct.pack("<H", 5) + b"".join([
        floor(syntax(*interface), b"\0\0"),
        floor(syntax(*NDR), b"\0\0"),
        floor(b"\x0a", b"\0\0"),                                  # connectionless RPC
        floor(b"\x08", struct.pack(">H", port)),                  # UDP
        floor(b"\x09", socket.inet_aton(address)),
    ])


def padded(octets):
    return octets + bytes(-len(octets) % 4)


def map_request(order, interface):
    octets = tower(interface, 0, "0.0.0.0")
    return (struct.pack(order + "IIII", 0, 1, len(octets), len(octets)) + padded(octets)
            + bytes(20) + struct.pack(order + "I", 4))


def map_response(body, order, known, port, address):
    """What the mapper says to a map request: one tower, or none and a status."""
    length = struct.unpack_from(order + "I", body, 12)[0]
    asked = uuid.UUID(bytes_le=body[16 + 5:16 + 21])              # the first floor, after the floors' number and length
    print("asked for", asked, "tower of", length, flush=True)
    if asked != known[0]:
        return bytes(20) + struct.pack("<IIIII", 0, 4, 0, 0, NOT_REGISTERED)
    octets = tower(known, port, address)
    return (bytes(20) + struct.pack("<IIII", 1, 4, 0, 1) + struct.pack("<III", 3, len(octets), len(octets))
            + padded(octets) + struct.pack("<I", 0))


def mapped_port(body, order):
    octets = body[20 + 16 + 12:]
    at = 2
    for _ in range(3):
        for _ in range(2):
            at += 2 + struct.unpack_from("<H", octets, at)[0]
    return struct.unpack_from(">H", octets, at + 5)[0]


def message(order):
    def string(text):
        text += "\0"
        return struct.pack(order + "III", len(text), 0, len(text)) + padded(text.encode("ascii"))

    return string("PC1") + string("PC3") + string("The printer on the second floor is out of paper").rstrip(b"\0") + b"\0"


def datagrams(port):
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("0.0.0.0", port))
    return bound


def serve(port):
    mapper, messenger = datagrams(135), datagrams(port)
    while True:
        for ready in select.select([mapper, messenger], [], [])[0]:
            datagram, client = ready.recvfrom(4096)
            kind, order, interface, activity, sequence, body = parsed(datagram)
            if kind != REQUEST:
                continue
            if ready is mapper:
                # The address that the client knows the server by.
                probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                probe.connect(client)
                answer, operation = map_response(body, order, MSGSVCSEND, port, probe.getsockname()[0]), EPT_MAP
            else:
                answer, operation = struct.pack("<I", 0), SEND_MESSAGE
            ready.sendto(header("<", RESPONSE, interface, activity, operation, len(answer), sequence) + answer, client)


def called(server, port, interface, operation, order, body):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        activity = uuid.UUID(bytes=os.urandom(16), version=4)
        client.sendto(header(order, REQUEST, interface, activity, operation, len(body), 0) + body, (server, port))
        kind, order, _, _, _, body = parsed(client.recv(4096))
        assert kind == RESPONSE
        return order, body


def send(server, order):
    mark = ORDERS[order][0]
    answer_order, answer = called(server, 135, EPM, EPT_MAP, mark, map_request(mark, MSGSVCSEND))
    send_to(server, mapped_port(answer, answer_order), mark)


def send_to(server, port, mark="<"):
    called(server, int(port), MSGSVCSEND, SEND_MESSAGE, mark, message(mark))
    print("sent to", port)


match sys.argv[1:]:
    case ["serve", port]:
        serve(int(port))
    case ["send", server, order]:
        send(server, order)
    case ["send-to", server, port]:
        send_to(server, port)
