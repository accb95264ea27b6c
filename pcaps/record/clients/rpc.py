"""RPC clients that do what Samba's own do not: use a mapped port without asking, stay connected, ask the
endpoint mapper in unusual ways.

    rpc.py ask SERVER INTERFACE               ept_map over TCP 135; prints the port
    rpc.py ask-pipe SERVER INTERFACE          the same over the pipe epmapper
    rpc.py list SERVER                        ept_lookup over TCP 135
    rpc.py call SERVER PORT INTERFACE         binds on a given port without asking
    rpc.py hold SERVER PORT SECONDS READY     samr on a given port, then a call each half second; touches the
                                              file READY once the bind is done
INTERFACE is one of those below.
"""
import os
import sys
import time

from impacket.dcerpc.v5 import drsuapi, epm, lsad, nrpc, samr, srvs, transport
from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_LEVEL_PKT_INTEGRITY
from impacket.smb3structs import SMB2_DIALECT_21

INTERFACES = {
    "samr": samr.MSRPC_UUID_SAMR,
    "lsarpc": lsad.MSRPC_UUID_LSAD,
    "netlogon": nrpc.MSRPC_UUID_NRPC,
    "drsuapi": drsuapi.MSRPC_UUID_DRSUAPI,
    "srvsvc": srvs.MSRPC_UUID_SRVS,
}
DOMAIN, USER = "OFFICE", os.environ.get("LAB_USER", "Administrator")
PASSWORD = os.environ.get("LAB_PASSWORD", "Passw0rd.office")


def connected(binding, interface=None, signed=False):
    """A connection to a string binding such as ncacn_ip_tcp:10.20.0.10[49154], bound if an interface is given."""
    rpc = transport.DCERPCTransportFactory(binding)
    rpc.set_credentials(USER, PASSWORD, DOMAIN)
    dce = rpc.get_dce_rpc()
    if binding.startswith("ncacn_np"):
        rpc.preferred_dialect(SMB2_DIALECT_21)  # later ones would be encrypted
    if signed:
        dce.set_credentials(USER, PASSWORD, DOMAIN)
        dce.set_auth_level(RPC_C_AUTHN_LEVEL_PKT_INTEGRITY)
    dce.connect()
    if interface:
        dce.bind(interface)
    return dce


def use_samr(dce):
    server = samr.hSamrConnect(dce)["ServerHandle"]
    domains = samr.hSamrEnumerateDomainsInSamServer(dce, server)["Buffer"]["Buffer"]
    samr.hSamrCloseHandle(dce, server)
    return [domain["Name"] for domain in domains]


def ask(server, interface):
    binding = epm.hept_map(server, INTERFACES[interface], protocol="ncacn_ip_tcp")
    print(binding.split("[")[1].rstrip("]"))


def ask_pipe(server, interface):
    dce = connected(rf"ncacn_np:{server}[\pipe\epmapper]")
    print(epm.hept_map(server, INTERFACES[interface], protocol="ncacn_ip_tcp", dce=dce))
    dce.disconnect()


def list_all(server):
    dce = connected(f"ncacn_ip_tcp:{server}[135]")
    # Samba's answer ends with "not registered" when there is no more: impacket takes that for an error.
    try:
        print(len(epm.hept_lookup(server, dce=dce)))
    except Exception as error:
        print(error)
    dce.disconnect()


def call(server, port, interface):
    dce = connected(f"ncacn_ip_tcp:{server}[{port}]", INTERFACES[interface], signed=True)
    if interface == "samr":
        print(use_samr(dce))
    dce.disconnect()


def hold(server, port, seconds, ready):
    dce = connected(f"ncacn_ip_tcp:{server}[{port}]", INTERFACES["samr"], signed=True)
    use_samr(dce)
    open(ready, "w").close()
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        time.sleep(0.5)
        use_samr(dce)
    dce.disconnect()


COMMANDS = {"ask": ask, "ask-pipe": ask_pipe, "list": list_all, "call": call, "hold": hold}
COMMANDS[sys.argv[1]](*sys.argv[2:])
