"""Simple TCP/IP Services: echo 7, discard 9, daytime 13, quotd 17, chargen 19, time 37; by TCP, then by UDP."""
import socket
import sys

server = sys.argv[1]

for port, request in ((7, b"hello echo\r\n"), (9, b"gone\r\n"), (13, b""), (17, b""), (19, b""), (37, b"")):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        # A small window: chargen sends without end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(2)
        connection.connect((server, port))
        connection.sendall(request)
        if port != 9:
            print("tcp", port, connection.recv(512)[:40])

for port, request in ((7, b"hello echo"), (9, b"gone"), (13, b"\n"), (19, b"\n")):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(1)
        datagrams.sendto(request, (server, port))
        if port != 9:
            print("udp", port, datagrams.recv(2048)[:40])
