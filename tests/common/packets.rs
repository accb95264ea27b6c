//! Captures built from words: Ethernet, IPv4 or IPv6, TCP and UDP, as a Windows server and its client
//! send them. For what no server that is at hand speaks.

/// Who asks.
pub const CLIENT: [u8; 4] = [10, 20, 0, 101];

/// Who listens: inside the networks in which a port names a service.
pub const SERVER: [u8; 4] = [10, 20, 0, 10];

/// The same two over IPv6: a unique local prefix, before the last byte of their other address.
const PREFIX: [u8; 15] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The initial TTL of Windows.
const TTL: u8 = 128;

/// The client's first port; each further flow has the next one.
const CLIENT_PORT: u16 = 50_000;

const TCP: u8 = 6;
const UDP: u8 = 17;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Bytes that one side says.
#[derive(Clone, Debug)]
pub enum Said {
    Client(Vec<u8>),
    Server(Vec<u8>),
}

/// What the client says, from anything that is bytes.
pub fn client(bytes: impl AsRef<[u8]>) -> Said {
    Said::Client(bytes.as_ref().to_vec())
}

/// What the server says.
pub fn server(bytes: impl AsRef<[u8]>) -> Said {
    Said::Server(bytes.as_ref().to_vec())
}

impl Said {
    /// With `wrap` around what is said.
    pub fn map(self, wrap: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Said {
        match self {
            Said::Client(bytes) => Said::Client(wrap(bytes)),
            Said::Server(bytes) => Said::Server(wrap(bytes)),
        }
    }
}

/// A capture in the making. A frame comes a millisecond after the one before.
#[derive(Default)]
pub struct Capture {
    frames: Vec<Vec<u8>>,
    flows: u16,
    version: Version,
}

/// The version of IP that both sides speak.
#[derive(Clone, Copy, Default)]
enum Version {
    #[default]
    V4,
    V6,
}

impl Capture {
    pub fn new() -> Capture {
        Capture::default()
    }

    /// Whose hosts are fd00::65 and fd00::a, and have no other addresses.
    pub fn over_ipv6() -> Capture {
        Capture {
            version: Version::V6,
            ..Capture::default()
        }
    }

    /// A TCP connection to `port` of the server: opened, used and closed.
    pub fn tcp(&mut self, port: u16, said: &[Said]) -> &mut Capture {
        let source = self.next_port();
        self.connection(Ends::new(source, port), true, said)
    }

    /// The same from `source` of the server to a port at which the client listens.
    pub fn tcp_back(&mut self, source: u16, port: u16, said: &[Said]) -> &mut Capture {
        self.connection(Ends::new(port, source), false, said)
    }

    fn connection(&mut self, mut ends: Ends, by_client: bool, said: &[Said]) -> &mut Capture {
        self.segment(&mut ends, by_client, SYN, &[]);
        self.segment(&mut ends, !by_client, SYN | ACK, &[]);
        self.segment(&mut ends, by_client, ACK, &[]);
        for said in said {
            match said {
                Said::Client(bytes) => self.segment(&mut ends, true, ACK, bytes),
                Said::Server(bytes) => self.segment(&mut ends, false, ACK, bytes),
            }
        }
        self.segment(&mut ends, by_client, FIN | ACK, &[]);
        self.segment(&mut ends, !by_client, FIN | ACK, &[]);
        self.segment(&mut ends, by_client, ACK, &[]);
        self
    }

    fn segment(&mut self, ends: &mut Ends, by_client: bool, flags: u8, payload: &[u8]) {
        let segment = ends.segment(by_client, flags, payload);
        self.packet(by_client, TCP, &segment);
    }

    /// Datagrams between a port of the client's and `port` of the server.
    pub fn udp(&mut self, port: u16, said: &[Said]) -> &mut Capture {
        let source = self.next_port();
        self.udp_from(source, port, said)
    }

    /// As [`Capture::udp`], from this port of the client's.
    pub fn udp_from(&mut self, source: u16, port: u16, said: &[Said]) -> &mut Capture {
        for said in said {
            match said {
                Said::Client(bytes) => self.packet(true, UDP, &datagram(source, port, bytes)),
                Said::Server(bytes) => self.packet(false, UDP, &datagram(port, source, bytes)),
            }
        }
        self
    }

    /// A packet of this IP protocol from the client to the server.
    pub fn ip(&mut self, protocol: u8, payload: &[u8]) -> &mut Capture {
        self.packet(true, protocol, payload);
        self
    }

    fn packet(&mut self, by_client: bool, protocol: u8, payload: &[u8]) {
        let (from, to) = match by_client {
            true => (CLIENT, SERVER),
            false => (SERVER, CLIENT),
        };
        self.frames.push(match self.version {
            Version::V4 => ipv4(from, to, protocol, payload),
            Version::V6 => ipv6(from, to, protocol, payload),
        });
    }

    /// The capture as a file (pcap 2.4, microseconds, little-endian, Ethernet).
    pub fn pcap(&self) -> Vec<u8> {
        let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        file.extend([2, 0, 4, 0]);
        file.extend([0; 8]);
        file.extend(65_535_u32.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        for (place, frame) in (0_u32..).zip(&self.frames) {
            let length = frame.len() as u32;
            for word in [1_700_000_000, place * 1000, length, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(frame);
        }
        file
    }

    fn next_port(&mut self) -> u16 {
        self.flows += 1;
        CLIENT_PORT + self.flows - 1
    }
}

/// Both ends of a TCP connection, and how far each has come.
struct Ends {
    ports: [u16; 2],
    sequence: [u32; 2],
}

impl Ends {
    fn new(client: u16, server: u16) -> Ends {
        Ends {
            ports: [client, server],
            sequence: [1000, 70_000],
        }
    }

    fn segment(&mut self, by_client: bool, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (own, other) = if by_client { (0, 1) } else { (1, 0) };
        let mut segment = self.ports[own].to_be_bytes().to_vec();
        segment.extend(self.ports[other].to_be_bytes());
        segment.extend(self.sequence[own].to_be_bytes());
        let seen = if flags & ACK == 0 {
            0
        } else {
            self.sequence[other]
        };
        segment.extend(seen.to_be_bytes());
        segment.extend([5 << 4, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
        segment.extend(payload);
        // SYN and FIN take a number each.
        let taken = u32::from(flags & (SYN | FIN) != 0);
        self.sequence[own] += payload.len() as u32 + taken;
        segment
    }
}

fn datagram(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = source.to_be_bytes().to_vec();
    datagram.extend(destination.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// An Ethernet frame with an IPv6 packet between the hosts of these IPv4 addresses.
fn ipv6(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = [
        &[0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2][..],
        &[0x86, 0xdd],
    ]
    .concat();
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend([protocol, TTL]);
    for [.., last] in [from, to] {
        frame.extend(PREFIX);
        frame.push(last);
    }
    frame.extend(payload);
    frame
}

/// An Ethernet frame with an IPv4 packet.
fn ipv4(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&[0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2][..], &[8, 0]].concat();
    frame.extend([0x45, 0]);
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 7, 0x40, 0, TTL, protocol, 0, 0]);
    frame.extend(from);
    frame.extend(to);
    frame.extend(payload);
    frame
}
