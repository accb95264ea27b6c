"""SMTP on 25 by aiosmtpd, with a greeting that names no product; mail is accepted and forgotten."""
import signal

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

Controller(Sink(), hostname="0.0.0.0", port=25, ident="Mail service ready").start()
signal.pause()
