"""Plays ten packets of rtsp://SERVER/tone by UDP: rtsp.py SERVER OWN_ADDRESS"""
import re
import socket
import sys

server, own = sys.argv[1], sys.argv[2]
url = f"rtsp://{server}/tone"
control = socket.create_connection((server, 554), 5)
control.settimeout(4)
sequence = 0


def ask(method, where=url, header=""):
    global sequence
    sequence += 1
    control.sendall(f"{method} {where} RTSP/1.0\r\nCSeq: {sequence}\r\n{header}\r\n".encode())
    answer = control.recv(4096).decode()
    print(method, answer.split("\r\n")[0])
    return answer


def bound(port):
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((own, port))
    datagrams.settimeout(3)
    return datagrams


media, reports = bound(6970), bound(6971)
ask("OPTIONS")
ask("DESCRIBE", header="Accept: application/sdp\r\n")
setup = ask("SETUP", url + "/stream=0", "Transport: RTP/AVP;unicast;client_port=6970-6971\r\n")
session = f"Session: {re.search(r'Session: ([^;]+)', setup).group(1).strip()}\r\n"
ask("PLAY", header=session)
for _ in range(10):
    media.recv(2048)
ask("TEARDOWN", header=session)
