//! The application protocols that a payload can be seen to speak.

/// An application protocol, as its payload shows it. Says nothing about who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// DCE/RPC, connection-oriented (C706, MS-RPCE).
    Rpc,
    /// DCE/RPC, connectionless (C706).
    RpcDatagram,
    /// RPC over HTTP (MS-RPCH).
    RpcHttp,
    /// Server Message Block (MS-CIFS, MS-SMB, MS-SMB2).
    Smb,
    /// NetBIOS session service (RFC 1002 4.3).
    NetbiosSession,
    /// NetBIOS datagram service (RFC 1002 4.4).
    NetbiosDatagram,
    /// NetBIOS name service (RFC 1002 4.2).
    NetbiosName,
    /// Domain Name System (RFC 1035).
    Dns,
    /// Kerberos version 5 (RFC 4120).
    Kerberos,
    /// Kerberos password change (RFC 3244).
    Kpasswd,
    /// Lightweight Directory Access Protocol (RFC 4511).
    Ldap,
    /// Hypertext Transfer Protocol (RFC 9112).
    Http,
    /// Transport Layer Security (RFC 8446, RFC 5246).
    Tls,
    /// Simple Mail Transfer Protocol (RFC 5321).
    Smtp,
    /// Post Office Protocol (RFC 1939).
    Pop3,
    /// Internet Message Access Protocol (RFC 9051).
    Imap,
    /// Network News Transfer Protocol (RFC 3977).
    Nntp,
    /// File Transfer Protocol, control connection (RFC 959).
    Ftp,
    /// Trivial File Transfer Protocol (RFC 1350).
    Tftp,
    /// Telnet (RFC 854).
    Telnet,
    /// Secure Shell (RFC 4253).
    Ssh,
    /// Remote Desktop Protocol (MS-RDPBCGR).
    Rdp,
    /// Dynamic Host Configuration Protocol (RFC 2131).
    Dhcp,
    /// Network Time Protocol (RFC 5905) and SNTP.
    Ntp,
    /// Simple Network Management Protocol (RFC 3416).
    Snmp,
    /// Remote Authentication Dial In User Service (RFC 2865).
    Radius,
    /// Internet Key Exchange (RFC 7296, RFC 2408).
    Isakmp,
    /// IPsec through NAT over UDP (RFC 3948).
    NatT,
    /// Layer Two Tunneling Protocol (RFC 2661).
    L2tp,
    /// Point-to-Point Tunneling Protocol, control connection (RFC 2637).
    Pptp,
    /// Real-Time Streaming Protocol (RFC 2326).
    Rtsp,
    /// Session Initiation Protocol (RFC 3261).
    Sip,
    /// Simple Service Discovery Protocol (UPnP Device Architecture).
    Ssdp,
    /// Tabular Data Stream (MS-TDS).
    Tds,
    /// SQL Server Resolution Protocol (MC-SQLR).
    SqlBrowser,
    /// Line Printer Daemon (RFC 1179).
    Lpd,
    /// Session Traversal Utilities for NAT (RFC 8489).
    Stun,
    /// QUIC (RFC 9000).
    Quic,
    /// BitTorrent peer protocol (BEP 3).
    BitTorrent,
}

/// Every protocol with its short name, in the order of the enum.
const NAMES: &[(Protocol, &str)] = &[
    (Protocol::Rpc, "rpc"),
    (Protocol::RpcDatagram, "rpc-datagram"),
    (Protocol::RpcHttp, "rpc-http"),
    (Protocol::Smb, "smb"),
    (Protocol::NetbiosSession, "netbios-session"),
    (Protocol::NetbiosDatagram, "netbios-datagram"),
    (Protocol::NetbiosName, "netbios-name"),
    (Protocol::Dns, "dns"),
    (Protocol::Kerberos, "kerberos"),
    (Protocol::Kpasswd, "kpasswd"),
    (Protocol::Ldap, "ldap"),
    (Protocol::Http, "http"),
    (Protocol::Tls, "tls"),
    (Protocol::Smtp, "smtp"),
    (Protocol::Pop3, "pop3"),
    (Protocol::Imap, "imap"),
    (Protocol::Nntp, "nntp"),
    (Protocol::Ftp, "ftp"),
    (Protocol::Tftp, "tftp"),
    (Protocol::Telnet, "telnet"),
    (Protocol::Ssh, "ssh"),
    (Protocol::Rdp, "rdp"),
    (Protocol::Dhcp, "dhcp"),
    (Protocol::Ntp, "ntp"),
    (Protocol::Snmp, "snmp"),
    (Protocol::Radius, "radius"),
    (Protocol::Isakmp, "isakmp"),
    (Protocol::NatT, "nat-t"),
    (Protocol::L2tp, "l2tp"),
    (Protocol::Pptp, "pptp"),
    (Protocol::Rtsp, "rtsp"),
    (Protocol::Sip, "sip"),
    (Protocol::Ssdp, "ssdp"),
    (Protocol::Tds, "tds"),
    (Protocol::SqlBrowser, "sql-browser"),
    (Protocol::Lpd, "lpd"),
    (Protocol::Stun, "stun"),
    (Protocol::Quic, "quic"),
    (Protocol::BitTorrent, "bittorrent"),
];

impl Protocol {
    /// Every protocol there is.
    pub fn all() -> impl Iterator<Item = Protocol> {
        NAMES.iter().map(|(protocol, _)| *protocol)
    }

    /// Its short name, lower case: `rpc`, `smb`, `ldap`.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The protocol of this short name.
    pub fn from_name(name: &str) -> Option<Protocol> {
        Protocol::all().find(|p| p.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_stands_at_its_own_place_in_the_list() {
        for (place, (protocol, name)) in NAMES.iter().enumerate() {
            assert_eq!(*protocol as usize, place, "{name}");
            assert_eq!(Protocol::from_name(name), Some(*protocol));
        }
        assert_eq!(Protocol::BitTorrent as usize + 1, NAMES.len());
    }
}
