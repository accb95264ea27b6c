//! What clients and servers of Windows' services say, word for word or byte for byte, where no
//! builder makes it.

/// Start-Control-Connection-Request of a client that does not say what it is (RFC 2637 2.1).
pub const START_OF_CALLS: [u8; 156] = {
    let mut bytes = [0; 156];
    let (head, _) = bytes.split_at_mut(10);
    head.copy_from_slice(&[0, 156, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1]);
    bytes
};

/// Start-Control-Connection-Reply of Windows (RFC 2637 2.2).
pub const ANSWER_TO_CALLS: [u8; 156] = {
    let mut bytes = [0; 156];
    let (head, rest) = bytes.split_at_mut(16);
    head.copy_from_slice(&[0, 156, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 2, 0, 0, 1, 0, 1, 0]);
    let (_, vendor) = rest.split_at_mut(76);
    let (vendor, _) = vendor.split_at_mut(9);
    vendor.copy_from_slice(b"Microsoft");
    bytes
};

/// Start-Control-Connection-Request of L2TP, and Windows' reply with the vendor (RFC 2661 6.1, 6.2).
pub const TUNNEL_ASKED: &[u8] = b"\xc8\x02\0\x14\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01";
pub const TUNNEL_GRANTED: &[u8] = b"\xc8\x02\0\x23\0\x01\0\0\0\0\0\x01\x80\x08\0\0\0\0\0\x02\
    \0\x0f\0\0\0\x08Microsoft";

pub const STATE_REQUEST: &[u8] =
    b"GET /LM/W3SVC/1/Root/app(9bXl)/abc HTTP/1.1\r\nHost: web1\r\n\r\n";
pub const STATE_ANSWER: &[u8] = b"HTTP/1.1 404 Not Found\r\n\r\n";
pub const STATE_LOCK: &[u8] = b"GET /w3svc/root/shop(NDbk%3d)%2f15hg HTTP/1.1\r\n\
    Host: state1:42424\r\nExclusive: Acquire\r\n\r\n";
pub const STATE_LOCKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\
    X-AspNet-Version: 2.0.50727\r\nTimeout: 30\r\nLockCookie: 19\r\n\r\nhi";
pub const QUEUE_STATE: &[u8] =
    b"\r\n                         Windows LPD Server\r\n    Printer \\\\192.0.2.1\\lp\r\n";
pub const ASKS: &[u8] = b"GET / HTTP/1.1\r\nHost: web1\r\n\r\n";
pub const OWA_REQUEST: &[u8] = b"GET /owa/ HTTP/1.1\r\nHost: mail\r\n\r\n";
pub const IIS_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: Microsoft-IIS/6.0\r\n\r\n";
pub const SHAREPOINT_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: Microsoft-IIS/6.0\r\n\
    MicrosoftSharePointTeamServices: 12.0.0.6421\r\n\r\n";
pub const COUGAR_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: Cougar/9.01.01.3814\r\n\r\n";
pub const RTSP_REQUEST: &[u8] = b"DESCRIBE rtsp://media/a RTSP/1.0\r\nCSeq: 1\r\n\r\n";
pub const RTSP_ANSWER: &[u8] = b"RTSP/1.0 200 OK\r\nServer: WMServer/9.1.1.3814\r\n\r\n";
pub const DESCRIPTION_REQUEST: &[u8] =
    b"GET /upnphost/udhisapi.dll?content=uuid:1 HTTP/1.1\r\nHost: pc1:2869\r\n\r\n";
pub const DESCRIPTION_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: Microsoft-Windows-NT/5.1 UPnP/1.0 UPnP-Device-Host/1.0 Microsoft-HTTPAPI/1.0\r\n\r\n";
pub const SSDP_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\
    Server: Microsoft-Windows-NT/5.1 UPnP/1.0 UPnP-Device-Host/1.0\r\n\
    Location: http://192.0.2.1:2869/upnphost/udhisapi.dll?content=uuid:1\r\n\r\n";
pub const SMTP_GREETING: &[u8] =
    b"220 mx Microsoft ESMTP MAIL Service, Version: 6.0.3790.3959 ready at Mon\r\n";
pub const POP3_GREETING: &[u8] =
    b"+OK Microsoft Windows POP3 Service Version 1.0 <1@mx> ready.\r\n";
pub const IMAP_GREETING: &[u8] = b"* OK The Microsoft Exchange IMAP4 service is ready.\r\n";
pub const NNTP_GREETING: &[u8] =
    b"200 NNTP Service 6.0.3790.3959 Version: 6.0.3790.3959 Posting Allowed\r\n";
pub const TELNET_GREETING: &[u8] =
    b"\xff\xfd\x25\xff\xfb\x01Welcome to Microsoft Telnet Service \r\n\n\rlogin: ";
pub const TELNET_OFFER: &[u8] =
    b"\xff\xfd\x25\xff\xfb\x01\xff\xfb\x03\xff\xfd\x27\xff\xfd\x1f\xff\xfd\0\xff\xfb\0";
pub const QUOTE: &[u8] =
    b"\"In Heaven an angel is nobody in particular.\"\r\n George Bernard Shaw (1856-1950)\r\n";
pub const SEARCH: &[u8] = b"M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n\
    Man: \"ssdp:discover\"\r\nST: ssdp:all\r\nMX: 3\r\n\r\n";
/// `DSIGetStatus` (AFP's Data Stream Interface).
pub const AFP_STATUS: &[u8] = &[0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An X.224 connection, and a T.120 conference in it whose user data are not RDP's.
pub const CONNECTION: &[u8] = b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0";
pub const CONFIRMED: &[u8] = b"\x03\0\0\x0b\x06\xd0\0\0\x12\x34\0";
pub const CONFERENCE: &[u8] =
    b"\x03\0\0\x3b\x02\xf0\x80\x7f\x65\x31\x04\x01\x01\x04\x01\x01\x01\x01\xff\
    \x30\x03\x02\x01\x22\x30\x03\x02\x01\x01\x30\x03\x02\x01\x05\x04\x17\0\x05\0\x14\x7c\0\x01\
    \x2a\0\x08\0\x05\0NetMeeting";
/// A question for the driver of a network card, in Remote Installation's setup wizard.
pub const NETWORK_CARD: &[u8] = b"\x81NCQ\x04\0\0\0card";
/// `sysObjectID.0` of a Windows server.
pub const WINDOWS_AGENT: &[u8] =
    b"0\x32\x02\x01\x01\x04\x06public\xa2\x25\x02\x01\x01\x02\x01\0\x02\x01\0\
    0\x1a0\x18\x06\x08\x2b\x06\x01\x02\x01\x01\x02\0\x06\x0c\x2b\x06\x01\x04\x01\x82\x37\x01\x01\
    \x03\x01\x02";
/// What a member of a domain asks: the number of its account, and room for a signature (MS-SNTP).
pub const UNSIGNED_TIME: &[u8] = b"\xdb\0\x0a\xfa\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\xd0\x01\x02\x03\x04\x05\x06\x07\x51\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0";
/// A KDC's refusal with STATUS_NOT_SUPPORTED in its `e-data` (MS-KILE 2.2.1).
pub const NOT_SUPPORTED: &[u8] = b"~c0a\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x1e\
    \xa4\x11\x18\x0f20260101000000Z\xa5\x03\x02\x01\0\xa6\x03\x02\x01\x0d\xa9\x05\x1b\x03LAB\
    \xaa\x160\x14\xa0\x03\x02\x01\x02\xa1\x0d0\x0b\x1b\x04cifs\x1b\x03fs1\
    \xac\x19\x04\x170\x15\xa1\x03\x02\x01\x03\xa2\x0e\x04\x0c\xbb\0\0\xc0\0\0\0\0\x03\0\0\0";
/// A request to be admitted, and an answer with the class that a server at [`super::packets::SERVER`]
/// gives the session.
pub const ADMIT: &[u8] = b"\x01\x07\0\x19ZZZZZZZZZZZZZZZZ\x01\x05bob";
pub const ADMITTED: &[u8] = b"\x02\x07\0BZZZZZZZZZZZZZZZZ\x19.\
    AZ\x04\xba\0\0\x017\0\x01\x02\0\x0a\x14\0\x0a\0\0\0\0\0\0\
    \0\0\0\0\0\0\x01\xc1\x93\x19\xea\xbf\xfa@\0\0\0\0\0\0\0\x05";
/// The answer to the question for `version.bind`.
pub const DNS_VERSION: &[u8] =
    b"\x124\x85\x80\0\x01\0\x01\0\0\0\0\x07version\x04bind\0\0\x10\0\x03\xc0\x0c\
    \0\x10\0\x03\0\0\0\0\0\x19\x18Microsoft DNS 10.0.20348";
/// A request for a screen of Remote Installation.
pub const SETUP_FILE: &[u8] = b"\0\x01OSChooser\\i386\\startrom.com\0octet\0";
