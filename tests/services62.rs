//! Each of the founding article's 62 services is named by the strongest ground that the wire allows:
//! which that is, what proves it, and where nothing but the port can, why.
//!
//! Proofs are captures of `pcaps/`, or packets built here from the specifications, where no server
//! that is at hand speaks the protocol.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::packets::{Capture, Said, client, server};
use common::{netbios, rpc, says, smb};
use serde_json::Value as Json;
use tempfile::TempDir;
use wiretag::catalog::{Catalog, Origin};

/// A way in which a service is named.
struct Line {
    service: &'static str,
    named: Named,
    /// The kind and value of the evidence that names it.
    evidence: (&'static str, &'static str),
    proof: Proof,
    /// Why the wire allows nothing stronger; empty where it is content or endpoint.
    why: &'static str,
}

/// How strongly.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// The payload says so.
    Content,
    /// A negotiation said so.
    Endpoint,
    /// The port is its alone.
    Port,
    /// The port is shared, and the service has the socket.
    SharedPort,
    /// The port is another's: at best it is a candidate.
    Candidate,
}

impl Named {
    fn basis(self) -> &'static str {
        match self {
            Named::Content => "content",
            Named::Endpoint => "endpoint",
            Named::Port => "port",
            Named::SharedPort | Named::Candidate => "shared-port",
        }
    }
}

/// What shows it.
enum Proof {
    /// `pcaps/NAME.pcapng`.
    Recorded(&'static str),
    /// Packets.
    Built(fn() -> Capture),
}

use Named::{Candidate, Content, Endpoint, Port, SharedPort};
use Proof::{Built, Recorded};

/// A high port that nobody lists.
const HIGH: u16 = 50_123;

const NO_NAME: &str = "the protocol names neither product nor service: whoever listens is meant";

/// In the order of the article.
const LINES: &[Line] = &[
    Line {
        service: "ALG",
        named: Candidate,
        evidence: ("port", "21/tcp"),
        proof: Recorded("ftp"),
        why: "it only redirects and rewrites what an FTP server and its client say",
    },
    Line {
        service: "aspnet_state",
        named: Content,
        evidence: ("http-lock-cookie", "19"),
        proof: Built(|| tcp(42424, &[says::STATE_LOCK, says::STATE_LOCKED])),
        why: "",
    },
    Line {
        service: "aspnet_state",
        named: Port,
        evidence: ("port", "42424/tcp"),
        proof: Built(|| tcp(42424, &[says::STATE_REQUEST, says::STATE_ANSWER])),
        why: "an answer that locks no session could be any web server's",
    },
    Line {
        service: "CertSvc",
        named: Content,
        evidence: ("rpc-interface", "ICertPassage"),
        proof: Built(|| bound("CertSvc", "ICertPassage")),
        why: "",
    },
    Line {
        service: "CertSvc",
        named: Endpoint,
        evidence: ("object-exporter", "CCertRequestD"),
        proof: Built(|| activated("d99e6e74-fc88-11d0-b498-00a0c90312f3")),
        why: "",
    },
    Line {
        service: "ClusSvc",
        named: Content,
        evidence: ("rpc-interface", "clusapi"),
        proof: Built(|| bound("ClusSvc", "clusapi")),
        why: "",
    },
    Line {
        service: "ClusSvc",
        named: Port,
        evidence: ("port", "3343/udp"),
        proof: Built(|| udp(3343, &[Said::Client(vec![0x17; 64])])),
        why: "heartbeats are not documented, and encrypted since Windows Server 2019",
    },
    Line {
        service: "Browser",
        named: Content,
        evidence: ("mailslot", "browse"),
        proof: Recorded("netbios_wins"),
        why: "",
    },
    Line {
        service: "DHCPServer",
        named: Content,
        evidence: ("rpc-interface", "dhcpsrv"),
        proof: Built(|| bound("DHCPServer", "dhcpsrv")),
        why: "",
    },
    Line {
        service: "DHCPServer",
        named: SharedPort,
        evidence: ("port", "67/udp"),
        proof: Recorded("dhcp"),
        why: "connection sharing answers as the full server does",
    },
    Line {
        service: "Dfs",
        named: Content,
        evidence: ("rpc-interface", "netdfs"),
        proof: Built(|| through_pipe("netdfs", "Dfs", "netdfs")),
        why: "",
    },
    Line {
        service: "TrkSvr",
        named: Content,
        evidence: ("rpc-interface", "trksvr"),
        proof: Built(|| bound("TrkSvr", "trksvr")),
        why: "",
    },
    Line {
        service: "MSDTC",
        named: Content,
        evidence: ("rpc-interface", "IXnRemote"),
        proof: Built(|| bound("MSDTC", "IXnRemote")),
        why: "",
    },
    Line {
        service: "MSDTC",
        named: Endpoint,
        evidence: ("endpoint-map", "IXnRemote"),
        proof: Built(|| mapped("MSDTC", "IXnRemote")),
        why: "",
    },
    Line {
        service: "DNS",
        named: Content,
        evidence: ("rpc-interface", "DnsServer"),
        proof: Recorded("rpc_mapped_ports"),
        why: "",
    },
    Line {
        service: "DNS",
        named: Content,
        evidence: ("dns-version", "Microsoft DNS"),
        proof: Built(|| udp(53, &[server(says::DNS_VERSION)])),
        why: "",
    },
    Line {
        service: "DNS",
        named: SharedPort,
        evidence: ("port", "53/udp"),
        proof: Recorded("domain_directory"),
        why: "connection sharing answers as the full server does",
    },
    Line {
        service: "Eventlog",
        named: Content,
        evidence: ("rpc-interface", "eventlog"),
        proof: Recorded("smb_pipes"),
        why: "",
    },
    Line {
        service: "Exchange",
        named: Content,
        evidence: ("banner", "The Microsoft Exchange IMAP4 service"),
        proof: Built(|| tcp(143, &[b"", says::IMAP_GREETING])),
        why: "",
    },
    Line {
        service: "Exchange",
        named: Content,
        evidence: ("http-path", "/owa/"),
        proof: Built(|| tcp(80, &[says::OWA_REQUEST, says::IIS_ANSWER])),
        why: "",
    },
    Line {
        service: "Exchange",
        named: Content,
        evidence: ("rpc-interface", "emsmdb"),
        proof: Built(|| bound("Exchange", "emsmdb")),
        why: "",
    },
    Line {
        service: "Exchange",
        named: Endpoint,
        evidence: ("endpoint-map", "emsmdb"),
        proof: Built(|| mapped("Exchange", "emsmdb")),
        why: "",
    },
    Line {
        service: "Fax",
        named: Content,
        evidence: ("rpc-interface", "fax"),
        proof: Built(|| bound("Fax", "fax")),
        why: "",
    },
    Line {
        service: "NtFrs",
        named: Content,
        evidence: ("rpc-interface", "frsrpc"),
        proof: Built(|| bound("NtFrs", "frsrpc")),
        why: "",
    },
    Line {
        service: "MacFile",
        named: Content,
        evidence: ("rpc-interface", "sfmsvc"),
        proof: Built(|| bound("MacFile", "sfmsvc")),
        why: "",
    },
    Line {
        service: "MacFile",
        named: Port,
        evidence: ("port", "548/tcp"),
        proof: Built(|| tcp(548, &[says::AFP_STATUS])),
        why: NO_NAME,
    },
    Line {
        service: "MSFtpSvc",
        named: Content,
        evidence: ("banner", "Microsoft FTP Service"),
        proof: Built(|| tcp(4131, &[b"", b"220-Microsoft FTP Service\r\n220 in\r\n"])),
        why: "",
    },
    Line {
        service: "MSFtpSvc",
        named: Endpoint,
        evidence: ("ftp-data", "/tcp"),
        proof: Recorded("ftp"),
        why: "",
    },
    Line {
        service: "HTTPFilter",
        named: Candidate,
        evidence: ("port", "443/tcp"),
        proof: Recorded("http_https"),
        why: "it puts TLS beneath the web server, whose the socket and all that is said there are",
    },
    Line {
        service: "IAS",
        named: Content,
        evidence: ("rpc-interface", "iasrpc"),
        proof: Built(|| bound("IAS", "iasrpc")),
        why: "",
    },
    Line {
        service: "IAS",
        named: Content,
        evidence: ("radius-class", "10.20.0.10"),
        proof: Built(|| udp(1812, &[client(says::ADMIT), server(says::ADMITTED)])),
        why: "",
    },
    Line {
        service: "IAS",
        named: Port,
        evidence: ("port", "1812/udp"),
        proof: Recorded("radius"),
        why: NO_NAME,
    },
    Line {
        service: "SharedAccess",
        named: Content,
        evidence: ("rpc-interface", "ipnathlp"),
        proof: Built(|| bound("SharedAccess", "ipnathlp")),
        why: "",
    },
    Line {
        service: "kdc",
        named: Content,
        evidence: ("kerberos-nt-status", "0xc00000bb"),
        proof: Built(|| udp(88, &[server(says::NOT_SUPPORTED)])),
        why: "",
    },
    Line {
        service: "kdc",
        named: Port,
        evidence: ("port", "88/tcp"),
        proof: Recorded("domain_directory"),
        why: "tickets do not say what wrote them, and its RPC interface is local",
    },
    Line {
        service: "LicenseService",
        named: Content,
        evidence: ("rpc-interface", "llsrpc"),
        proof: Built(|| through_pipe("llsrpc", "LicenseService", "llsrpc")),
        why: "",
    },
    Line {
        service: "LSASS",
        named: Content,
        evidence: ("rpc-interface", "drsuapi"),
        proof: Recorded("rpc_mapped_ports"),
        why: "",
    },
    Line {
        service: "MSMQ",
        named: Content,
        evidence: ("rpc-interface", "RemoteRead"),
        proof: Built(|| bound_on(2105, "MSMQ", "RemoteRead")),
        why: "",
    },
    Line {
        service: "Messenger",
        named: Content,
        evidence: ("mailslot", "messngr"),
        proof: Built(|| {
            let message = b"PC1\0ALICE\0Lunch?\0";
            let datagram = netbios::mailslot(r"\MAILSLOT\MESSNGR", ("ALICE", 3), message);
            let mut capture = Capture::new();
            capture.udp_from(138, 138, &[Said::Client(datagram)]);
            capture
        }),
        why: "",
    },
    Line {
        service: "MSExchangeMTA",
        named: Content,
        evidence: ("rpc-interface", "exchange_mta"),
        proof: Built(|| bound("MSExchangeMTA", "exchange_mta")),
        why: "",
    },
    Line {
        service: "OnePoint",
        named: Port,
        evidence: ("port", "1270/tcp"),
        proof: Built(|| tcp(1270, &[&[0xd1; 40]])),
        why: "all of it is encrypted since Service Pack 1, and what was in clear is not documented",
    },
    Line {
        service: "POP3SVC",
        named: Content,
        evidence: ("banner", "Microsoft Windows POP3 Service"),
        proof: Built(|| tcp(110, &[b"", says::POP3_GREETING])),
        why: "",
    },
    Line {
        service: "MSSQLSERVER",
        named: Content,
        evidence: ("smb-pipe", r"sql\query"),
        proof: Built(|| opened_pipe(r"sql\query")),
        why: "",
    },
    Line {
        service: "MSSQL$UDDI",
        named: Content,
        evidence: ("smb-pipe", r"mssql$uddi\sql\query"),
        proof: Built(|| opened_pipe(r"MSSQL$UDDI\sql\query")),
        why: "",
    },
    Line {
        service: "MSSQL$UDDI",
        named: Endpoint,
        evidence: ("sql-instance", "UDDI"),
        proof: Built(listed_instance),
        why: "",
    },
    Line {
        service: "Netlogon",
        named: Content,
        evidence: ("netlogon-ping", "DnsDomain"),
        proof: Recorded("domain_join"),
        why: "",
    },
    Line {
        service: "Netlogon",
        named: Content,
        evidence: ("rpc-interface", "netlogon"),
        proof: Recorded("rpc_mapped_ports"),
        why: "",
    },
    Line {
        service: "mnmsrvc",
        named: Content,
        evidence: ("t120-user-data", "conference"),
        proof: Built(|| tcp(3389, &[says::CONNECTION, says::CONFIRMED, says::CONFERENCE])),
        why: "",
    },
    Line {
        service: "mnmsrvc",
        named: Candidate,
        evidence: ("port", "3389/tcp"),
        proof: Recorded("rdp"),
        why: "what speaks RDP on its port is Terminal Services",
    },
    Line {
        service: "NntpSvc",
        named: Content,
        evidence: ("banner", "NNTP Service 6.0.3790.3959"),
        proof: Built(|| tcp(119, &[b"", says::NNTP_GREETING])),
        why: "",
    },
    Line {
        service: "NntpSvc",
        named: Content,
        evidence: ("rpc-interface", "nntpsvc"),
        proof: Built(|| bound("NntpSvc", "nntpsvc")),
        why: "",
    },
    Line {
        service: "SysmonLog",
        named: Candidate,
        evidence: ("port", "139/tcp"),
        proof: Built(|| tcp(139, &[])),
        why: "it collects: what it asks for goes to other computers' registries, whose service answers",
    },
    Line {
        service: "Spooler",
        named: Content,
        evidence: ("rpc-interface", "spoolss"),
        proof: Recorded("smb_pipes"),
        why: "",
    },
    Line {
        service: "BINLSVC",
        named: Content,
        evidence: ("binl-message", "NCQ"),
        proof: Built(|| udp(4011, &[client(says::NETWORK_CARD)])),
        why: "",
    },
    Line {
        service: "BINLSVC",
        named: Port,
        evidence: ("port", "4011/udp"),
        proof: Recorded("pxe"),
        why: NO_NAME,
    },
    Line {
        service: "RpcSs",
        named: Content,
        evidence: ("rpc-interface", "epmapper"),
        proof: Recorded("rpc_mapped_ports"),
        why: "",
    },
    Line {
        service: "RpcLocator",
        named: Content,
        evidence: ("rpc-interface", "NsiS"),
        proof: Built(|| through_pipe("locator", "RpcLocator", "NsiS")),
        why: "",
    },
    Line {
        service: "Remote_Storage_User_Link",
        named: Candidate,
        evidence: ("port", "135/tcp"),
        proof: Built(|| tcp(135, &[])),
        why: "its interfaces are DCOM's own, and no list of its classes is public",
    },
    Line {
        service: "Remote_Storage_Server",
        named: Candidate,
        evidence: ("port", "135/tcp"),
        proof: Built(|| tcp(135, &[])),
        why: "its interfaces are DCOM's own, and no list of its classes is public",
    },
    Line {
        service: "RemoteAccess",
        named: Content,
        evidence: ("rpc-interface", "dimsvc"),
        proof: Built(|| bound("RemoteAccess", "dimsvc")),
        why: "",
    },
    Line {
        service: "RemoteAccess",
        named: Content,
        evidence: ("pptp-vendor", "Microsoft"),
        proof: Built(|| tcp(1723, &[&says::START_OF_CALLS, &says::ANSWER_TO_CALLS])),
        why: "",
    },
    Line {
        service: "RemoteAccess",
        named: Content,
        evidence: ("l2tp-vendor", "Microsoft"),
        proof: Built(|| {
            udp(
                1701,
                &[client(says::TUNNEL_ASKED), server(says::TUNNEL_GRANTED)],
            )
        }),
        why: "",
    },
    Line {
        service: "RemoteAccess",
        named: Port,
        evidence: ("port", "1723/tcp"),
        proof: Built(|| tcp(1723, &[&says::START_OF_CALLS])),
        why: NO_NAME,
    },
    Line {
        service: "lanmanserver",
        named: Content,
        evidence: ("rpc-interface", "srvsvc"),
        proof: Recorded("smb_pipes"),
        why: "",
    },
    Line {
        service: "SharePoint",
        named: Content,
        evidence: ("http-sharepoint", "12.0.0.6421"),
        proof: Built(|| tcp(80, &[says::ASKS, says::SHAREPOINT_ANSWER])),
        why: "",
    },
    Line {
        service: "SMTPSVC",
        named: Content,
        evidence: ("banner", "Microsoft ESMTP MAIL Service"),
        proof: Built(|| tcp(25, &[b"", says::SMTP_GREETING])),
        why: "",
    },
    Line {
        service: "SMTPSVC",
        named: Content,
        evidence: ("rpc-interface", "smtpsvc"),
        proof: Built(|| bound("SMTPSVC", "smtpsvc")),
        why: "",
    },
    Line {
        service: "SimpTcp",
        named: Content,
        evidence: ("quote", "In Heaven an angel"),
        proof: Built(|| tcp(17, &[b"", says::QUOTE])),
        why: "",
    },
    Line {
        service: "SimpTcp",
        named: Port,
        evidence: ("port", "19/tcp"),
        proof: Recorded("simple_tcpip"),
        why: NO_NAME,
    },
    Line {
        service: "Wuser32",
        named: Content,
        evidence: ("netbios-name", "PC1<43>"),
        proof: Built(|| tcp_said(139, &netbios::session_for("PC1", 0x43))),
        why: "",
    },
    Line {
        service: "Wuser32",
        named: Port,
        evidence: ("port", "2702/tcp"),
        proof: Built(|| tcp(2702, &[&[1; 20]])),
        why: "remote control is not documented",
    },
    Line {
        service: "SNMP",
        named: Content,
        evidence: ("snmp-object-id", "1.3.6.1.4.1.311.1.1.3.1.2"),
        proof: Built(|| udp(161, &[server(says::WINDOWS_AGENT)])),
        why: "",
    },
    Line {
        service: "SNMPTRAP",
        named: Port,
        evidence: ("port", "162/udp"),
        proof: Recorded("snmp"),
        why: NO_NAME,
    },
    Line {
        service: "MSSQLServerOLAPService",
        named: Port,
        evidence: ("port", "2725/tcp"),
        proof: Built(|| tcp(2725, &[&[2; 20]])),
        why: "of MS-SSAS8, which has the protocol of Analysis Services 2000, nothing is read",
    },
    Line {
        service: "OlapDownlevel",
        named: Port,
        evidence: ("port", "2393/tcp"),
        proof: Built(|| tcp(2393, &[&[2; 20]])),
        why: "the protocol of OLAP Services 7.0 is not documented",
    },
    Line {
        service: "SSDPSRV",
        named: Content,
        evidence: ("ssdp-location", "/upnphost/udhisapi.dll"),
        proof: Built(|| udp(1900, &[client(says::SEARCH), server(says::SSDP_ANSWER)])),
        why: "",
    },
    Line {
        service: "SSDPSRV",
        named: Port,
        evidence: ("port", "1900/udp"),
        proof: Built(|| udp(1900, &[client(says::SEARCH)])),
        why: "a search names no one",
    },
    Line {
        service: "SMS",
        named: Content,
        evidence: ("netbios-name", "PC1<44>"),
        proof: Built(|| tcp_said(139, &netbios::session_for("PC1", 0x44))),
        why: "",
    },
    Line {
        service: "LPDSVC",
        named: Content,
        evidence: ("lpd-queue-state", "Windows LPD Server"),
        proof: Built(|| tcp(515, &[b"\x03lp\n", says::QUEUE_STATE])),
        why: "",
    },
    Line {
        service: "LPDSVC",
        named: Port,
        evidence: ("port", "515/tcp"),
        proof: Built(|| tcp(515, &[b"\x02lp\n", b"\0"])),
        why: NO_NAME,
    },
    Line {
        service: "TlntSvr",
        named: Content,
        evidence: ("rpc-interface", "IManageTelnetSessions"),
        proof: Built(|| bound("TlntSvr", "IManageTelnetSessions")),
        why: "",
    },
    Line {
        service: "TlntSvr",
        named: Content,
        evidence: ("banner", "Welcome to Microsoft Telnet Service"),
        proof: Built(|| tcp(23, &[b"", says::TELNET_GREETING])),
        why: "",
    },
    Line {
        service: "TlntSvr",
        named: Content,
        evidence: ("telnet-offer", "do authentication"),
        proof: Built(|| tcp(23, &[b"", says::TELNET_OFFER, b"\xff\xfc\x25"])),
        why: "",
    },
    Line {
        service: "TlntSvr",
        named: Port,
        evidence: ("port", "23/tcp"),
        proof: Recorded("telnet"),
        why: "no greeting of a product in the capture",
    },
    Line {
        service: "TermService",
        named: Content,
        evidence: ("rpc-interface", "winstation_rpc"),
        proof: Built(|| {
            through_pipe(
                "Ctx_WinStation_API_service",
                "TermService",
                "winstation_rpc",
            )
        }),
        why: "",
    },
    Line {
        service: "TermService",
        named: SharedPort,
        evidence: ("port", "3389/tcp"),
        proof: Recorded("rdp"),
        why: NO_NAME,
    },
    Line {
        service: "TermServLicensing",
        named: Content,
        evidence: ("rpc-interface", "TermServLicensing"),
        proof: Built(|| {
            through_pipe(
                "TermServLicensing",
                "TermServLicensing",
                "TermServLicensing",
            )
        }),
        why: "",
    },
    Line {
        service: "Tssdis",
        named: Content,
        evidence: ("rpc-interface", "TSSDJetRPC"),
        proof: Built(|| bound("Tssdis", "TSSDJetRPC")),
        why: "",
    },
    Line {
        service: "tftpd",
        named: Content,
        evidence: ("tftp-file", "OSChooser"),
        proof: Built(|| udp(69, &[client(says::SETUP_FILE)])),
        why: "",
    },
    Line {
        service: "tftpd",
        named: Endpoint,
        evidence: ("tftp-transfer", "/udp"),
        proof: Recorded("tftp"),
        why: "",
    },
    Line {
        service: "UPNPHost",
        named: Content,
        evidence: ("http-server", "UPnP-Device-Host/1.0"),
        proof: Built(|| tcp(2869, &[says::DESCRIPTION_REQUEST, says::DESCRIPTION_ANSWER])),
        why: "",
    },
    Line {
        service: "WINS",
        named: Content,
        evidence: ("netbios-name", ""),
        proof: Recorded("netbios_wins"),
        why: "",
    },
    Line {
        service: "WINS",
        named: Content,
        evidence: ("wins-replication-version", "2.5"),
        proof: Recorded("wins_replication"),
        why: "",
    },
    Line {
        service: "WINS",
        named: Content,
        evidence: ("rpc-interface", "winsif"),
        proof: Built(|| through_pipe("WinsPipe", "WINS", "winsif")),
        why: "",
    },
    Line {
        service: "WMServer",
        named: Content,
        evidence: ("rtsp-server", "WMServer/9.1.1.3814"),
        proof: Built(|| tcp(554, &[says::RTSP_REQUEST, says::RTSP_ANSWER])),
        why: "",
    },
    Line {
        service: "WMServer",
        named: Content,
        evidence: ("http-server", "Cougar/9.01.01.3814"),
        proof: Built(|| tcp(80, &[says::ASKS, says::COUGAR_ANSWER])),
        why: "",
    },
    Line {
        service: "W32Time",
        named: Content,
        evidence: ("rpc-interface", "W32Time"),
        proof: Built(|| through_pipe("W32TIME", "W32Time", "W32Time")),
        why: "",
    },
    Line {
        service: "W32Time",
        named: Content,
        evidence: ("ntp-authenticator", "MS-SNTP"),
        proof: Built(|| udp(123, &[client(says::UNSIGNED_TIME)])),
        why: "",
    },
    Line {
        service: "W32Time",
        named: Port,
        evidence: ("port", "123/udp"),
        proof: Recorded("ntp"),
        why: NO_NAME,
    },
    Line {
        service: "W3SVC",
        named: Content,
        evidence: ("http-server", "Microsoft-IIS/6.0"),
        proof: Built(|| tcp(8098, &[says::ASKS, says::IIS_ANSWER])),
        why: "",
    },
];

/// A browser's answer that lists an instance, and a connection to where it listens (MC-SQLR 2.2.5).
fn listed_instance() -> Capture {
    let list = format!("ServerName;SQL1;InstanceName;UDDI;IsClustered;No;tcp;{HIGH};;");
    let answer = [
        &[5],
        &(list.len() as u16).to_le_bytes()[..],
        list.as_bytes(),
    ]
    .concat();
    let mut capture = udp(1434, &[client(b"\x03"), server(&answer)]);
    capture.tcp(HIGH, &[client(b"\x12\x01")]);
    capture
}

/// A connection in which client and server say this in turns.
fn tcp(port: u16, said: &[&[u8]]) -> Capture {
    let turns = said.iter().enumerate();
    let said: Vec<Said> = turns
        .map(|(turn, bytes)| match turn % 2 {
            0 => client(bytes),
            _ => server(bytes),
        })
        .collect();
    tcp_said(port, &said)
}

fn tcp_said(port: u16, said: &[Said]) -> Capture {
    let mut capture = Capture::new();
    capture.tcp(port, said);
    capture
}

fn udp(port: u16, said: &[Said]) -> Capture {
    let mut capture = Capture::new();
    capture.udp(port, said);
    capture
}

/// A high port on which this interface is bound.
fn bound(service: &str, interface: &str) -> Capture {
    bound_on(HIGH, service, interface)
}

fn bound_on(port: u16, service: &str, interface: &str) -> Capture {
    tcp_said(port, &rpc::bound(rpc::interface(service, interface)))
}

/// The endpoint mapper sends a client to a high port, on which nothing is readable.
fn mapped(service: &str, interface: &str) -> Capture {
    let interface = rpc::interface(service, interface);
    let mut capture = Capture::new();
    capture.tcp(135, &rpc::mapped(interface, HIGH));
    capture.tcp(HIGH, &[]);
    capture
}

/// DCOM puts an object of this class at a high port, on which nothing is readable.
fn activated(class: &str) -> Capture {
    let mut capture = Capture::new();
    capture.tcp(135, &rpc::activated(class, HIGH));
    capture.tcp(HIGH, &[]);
    capture
}

/// This interface is bound in this pipe.
fn through_pipe(pipe: &str, service: &str, interface: &str) -> Capture {
    let talk = rpc::bound(rpc::interface(service, interface));
    tcp_said(445, &smb::through_pipe(pipe, talk))
}

/// This pipe is opened, and what is said in it is not RPC.
fn opened_pipe(pipe: &str) -> Capture {
    tcp_said(445, &smb::through_pipe(pipe, Vec::new()))
}

fn rows_of(line: &Line, folder: &TempDir) -> Vec<Json> {
    let run = match line.proof {
        Recorded(name) => common::label([format!("pcaps/{name}.pcapng")]),
        Built(build) => {
            let path = folder.path().join("built.pcap");
            fs::write(&path, build().pcap()).expect("there is room");
            common::label([path])
        }
    };
    assert_eq!(run.code, Some(0), "{}: {}", line.service, run.stderr);
    run.rows()
}

fn list<'r>(row: &'r Json, name: &str) -> &'r [Json] {
    row[name].as_array().expect("it is a list")
}

/// Whether this row names the service on this basis.
fn is_named(row: &Json, service: &str, basis: &str) -> bool {
    let mut reached = list(row, "services").iter();
    reached.any(|reached| reached["service"] == service && reached["basis"] == basis)
}

/// Whether this row names the service as the line says, by that evidence.
fn shows(row: &Json, line: &Line) -> bool {
    let is_so = match line.named {
        Candidate => {
            let mut candidates = list(row, "candidates").iter();
            row["basis"] == line.named.basis()
                && candidates.any(|candidate| candidate["service"] == line.service)
        }
        _ => is_named(row, line.service, line.named.basis()),
    };
    let (kind, value) = line.evidence;
    let says = |evidence: &&Json| {
        let texts = [&evidence["value"], &evidence["name"]];
        let mut texts = texts.into_iter().filter_map(|text| text.as_str());
        evidence["kind"] == kind && texts.any(|text| text.contains(value))
    };
    is_so && list(row, "evidence").iter().any(|evidence| says(&evidence))
}

#[test]
fn the_table_has_the_62_services_of_the_founding_article_in_its_order() {
    let catalog = Catalog::built_in();
    let founding = (catalog.services()).filter(|(_, s)| s.origin == Origin::Founding);
    let founding: Vec<&str> = founding.map(|(_, s)| s.id.as_str()).collect();
    let mut table: Vec<&str> = LINES.iter().map(|line| line.service).collect();
    table.dedup();
    assert_eq!(table, founding);
}

#[test]
fn a_line_says_why_exactly_where_it_rests_on_a_port_alone() {
    for line in LINES {
        let by_port = !matches!(line.named, Content | Endpoint);
        assert_eq!(by_port, !line.why.is_empty(), "{}", line.service);
    }
}

#[test]
fn every_line_is_what_the_program_says_of_its_proof() {
    let folder = TempDir::new().expect("there is room");
    let mut wrong = Vec::new();
    for line in LINES {
        let rows = rows_of(line, &folder);
        if !rows.iter().any(|row| shows(row, line)) {
            let said = rows.iter().take(3).map(Json::to_string);
            let said: Vec<_> = said.collect();
            wrong.push(format!(
                "{} by {} {:?}:\n    {}",
                line.service,
                line.named.basis(),
                line.evidence,
                said.join("\n    ")
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_service_that_only_a_port_names_is_nowhere_named_by_more_in_its_proofs() {
    let folder = TempDir::new().expect("there is room");
    let told: BTreeSet<&str> = (LINES.iter())
        .filter(|line| matches!(line.named, Content | Endpoint))
        .map(|line| line.service)
        .collect();
    for line in LINES.iter().filter(|line| !told.contains(line.service)) {
        for row in rows_of(line, &folder) {
            let by = |basis| is_named(&row, line.service, basis);
            let is_more = by("content") || by("endpoint");
            assert!(!is_more, "{} is told after all: {row}", line.service);
        }
    }
}
