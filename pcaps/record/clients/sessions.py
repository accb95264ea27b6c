"""One connection with several sessions, shares and pipes at a time: sessions.py SERVER PASSWORD."""

import sys

from impacket.dcerpc.v5 import samr, scmr, srvs, transport
from impacket.smb3structs import SMB2_DIALECT_21
from impacket.smbconnection import SMBConnection


def bind(session, pipe, interface):
    """Binds an interface in a pipe of this session; the connection stays open."""
    address = transport.SMBTransport(session.getRemoteHost(), filename=pipe, smb_connection=session)
    rpc = address.get_dce_rpc()
    rpc.connect()
    rpc.bind(interface)
    return rpc


def main():
    server, password = sys.argv[1:]
    # SMB 3 would hide it all: this client encrypts wherever the server can.
    session = SMBConnection(server, server, preferredDialect=SMB2_DIALECT_21)
    session.login("Administrator", password, "OFFICE")
    # Pipes side by side, and files between their calls.
    services = bind(session, r"\svcctl", scmr.MSRPC_UUID_SCMR)
    accounts = bind(session, r"\samr", samr.MSRPC_UUID_SAMR)
    shares = bind(session, r"\srvsvc", srvs.MSRPC_UUID_SRVS)
    manager = scmr.hROpenSCManagerW(services)["lpScHandle"]
    session.listPath("share", "*")
    samr.hSamrConnect(accounts)
    srvs.hNetrShareEnum(shares, 1)
    with open("/dev/null", "wb") as nowhere:
        session.getFile("share", "ledger.csv", nowhere.write)
    scmr.hRCloseServiceHandle(services, manager)
    for rpc in (services, accounts, shares):
        rpc.disconnect()
    session.logoff()


main()
