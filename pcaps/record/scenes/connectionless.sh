# The endpoint mapper over UDP 135, connectionless RPC. The server is a stand-in written for this: see there.

no_directory
host pc1 101
host pc2 102
host pc3 103
RPC="$LAB_PYTHON $HERE/stand-ins/connectionless_rpc.py"
serve pc3 rpc-pc3 $RPC serve 1027
listening pc3 udp 135
listening pc3 udp 1027

# pc1 asks in little-endian order and sends a message to the port it is told; pc2 the same in big-endian order; pc1
# then uses the port without asking.
capture rpc_udp
client pc1 $RPC send $NET.103 little
client pc2 $RPC send $NET.103 big
client pc1 $RPC send-to $NET.103 1027
captured
