"""A PPTP client: pptp-linux with ppp.py in pppd's place, joined by a pseudo terminal: pptp.py SERVER SECONDS"""
import os
import pty
import subprocess
import sys
import time
import tty

server, seconds = sys.argv[1], float(sys.argv[2])
near, far = pty.openpty()
tty.setraw(near)
tty.setraw(far)
folder = os.path.dirname(os.path.abspath(__file__))
tunnel = subprocess.Popen(["pptp", server, "--nolaunchpppd", "--loglevel", "1"], stdin=far, stdout=far)
time.sleep(0.5)
link = subprocess.Popen([sys.executable, folder + "/../stand-ins/ppp.py"], stdin=near, stdout=near)
time.sleep(seconds)
link.terminate()
tunnel.terminate()
