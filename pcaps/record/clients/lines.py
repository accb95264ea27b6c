"""A line protocol's client: lines.py SERVER PORT LINE...; waits for an answer before the first and after each."""
import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as connection:
    connection.settimeout(4)
    print(connection.recv(2048))
    for line in sys.argv[3:]:
        connection.sendall(line.encode() + b"\r\n")
        print(connection.recv(2048))
