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

/// Every protocol with its short name and what it is called in rows, in the order of the enum.
const NAMES: &[(Protocol, &str, &str)] = &[
    (Protocol::Rpc, "rpc", "RPC"),
    (Protocol::RpcDatagram, "rpc-datagram", "RPC"),
    (Protocol::RpcHttp, "rpc-http", "RPC over HTTP"),
    (Protocol::Smb, "smb", "SMB"),
    (
        Protocol::NetbiosSession,
        "netbios-session",
        "NetBIOS Session Service",
    ),
    (
        Protocol::NetbiosDatagram,
        "netbios-datagram",
        "NetBIOS Datagram Service",
    ),
    (
        Protocol::NetbiosName,
        "netbios-name",
        "NetBIOS Name Resolution",
    ),
    (Protocol::Dns, "dns", "DNS"),
    (Protocol::Kerberos, "kerberos", "Kerberos"),
    (Protocol::Kpasswd, "kpasswd", "Kerberos Password Change"),
    (Protocol::Ldap, "ldap", "LDAP"),
    (Protocol::Http, "http", "HTTP"),
    (Protocol::Tls, "tls", "TLS"),
    (Protocol::Smtp, "smtp", "SMTP"),
    (Protocol::Pop3, "pop3", "POP3"),
    (Protocol::Imap, "imap", "IMAP"),
    (Protocol::Nntp, "nntp", "NNTP"),
    (Protocol::Ftp, "ftp", "FTP control"),
    (Protocol::Tftp, "tftp", "TFTP"),
    (Protocol::Telnet, "telnet", "Telnet"),
    (Protocol::Ssh, "ssh", "SSH"),
    (Protocol::Rdp, "rdp", "RDP"),
    (Protocol::Dhcp, "dhcp", "DHCP"),
    (Protocol::Ntp, "ntp", "NTP"),
    (Protocol::Snmp, "snmp", "SNMP"),
    (Protocol::Radius, "radius", "RADIUS"),
    (Protocol::Isakmp, "isakmp", "ISAKMP"),
    (Protocol::NatT, "nat-t", "NAT-T"),
    (Protocol::L2tp, "l2tp", "L2TP"),
    (Protocol::Pptp, "pptp", "PPTP"),
    (Protocol::Rtsp, "rtsp", "RTSP"),
    (Protocol::Sip, "sip", "SIP"),
    (Protocol::Ssdp, "ssdp", "SSDP"),
    (Protocol::Tds, "tds", "TDS"),
    (Protocol::SqlBrowser, "sql-browser", "SQL Browser"),
    (Protocol::Lpd, "lpd", "LPD"),
    (Protocol::Stun, "stun", "STUN"),
    (Protocol::Quic, "quic", "QUIC"),
    (Protocol::BitTorrent, "bittorrent", "BitTorrent"),
];

impl Protocol {
    /// Every protocol there is.
    pub fn all() -> impl Iterator<Item = Protocol> {
        NAMES.iter().map(|(protocol, ..)| *protocol)
    }

    /// Its short name, lower case: `rpc`, `smb`, `ldap`.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// What it is called as an application protocol, in the catalog's words where that has some.
    pub fn title(self) -> &'static str {
        NAMES[self as usize].2
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
        for (place, (protocol, name, _)) in NAMES.iter().enumerate() {
            assert_eq!(*protocol as usize, place, "{name}");
            assert_eq!(Protocol::from_name(name), Some(*protocol));
        }
        assert_eq!(Protocol::BitTorrent as usize + 1, NAMES.len());
    }
}
