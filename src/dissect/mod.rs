//! Payload to claims: one protocol, one file. A dissector reports what it saw and judges nothing.
//!
//! In come the first payload bytes of a flow; [`ALL`] is walked until one definition knows them.
//! A definition with a [`Definition::follow`] then gets the rest of the flow, in order; the others
//! have said all they can say. Out come claims; the flow that fed the bytes adds frame and time.

mod afp;
mod ber;
mod binl;
mod bit_torrent;
mod chargen;
mod cutter;
mod daytime;
mod delivery_optimization;
mod dhcp;
mod dhcp6;
mod dns;
mod domain_name;
mod dtls;
mod echo;
mod few;
mod first_bytes;
pub mod ftp;
mod handshake;
mod head;
pub mod http;
mod imap;
mod isakmp;
mod iscsi;
mod iso_transport;
mod kerberos;
mod kpasswd;
mod l2tp;
mod ldap;
mod lines;
mod llmnr;
mod lpd;
mod madcap;
mod mailslot;
mod mdns;
mod messages;
mod mms;
mod msmq;
mod names;
mod nat_t;
pub mod netbios_datagram;
pub mod netbios_name;
pub mod netbios_session;
mod netlogon;
mod nmf;
mod nns;
mod nntp;
mod ntlm;
mod ntp;
mod onc_rpc;
mod pop3;
pub mod pptp;
mod qotd;
mod quic;
mod radius;
mod rdp;
mod rdp_udp;
pub mod read;
pub mod rpc;
pub mod rpc_http;
mod rtsp;
#[cfg(test)]
mod samples;
mod sip;
pub mod smb;
mod smtp;
mod snmp;
mod sql_browser;
mod ssdp;
pub mod ssh;
mod stun;
mod tds;
mod telnet;
pub mod text;
mod tftp;
pub mod tls;
mod wins_replication;
mod ws_discovery;
mod x509;

use crate::dissect::first_bytes::{FirstBytes, Places};
use crate::dissect::read::Short;
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol, Vocabulary};

/// Every protocol that is looked for, those with the clearest signature first.
pub const ALL: &[Definition] = &[
    rpc::CONNECTION,
    rpc::DATAGRAM,
    rpc_http::STREAM,
    smb::STREAM,
    netbios_session::STREAM,
    netbios_name::DATAGRAM,
    netbios_datagram::DATAGRAM,
    dns::STREAM,
    dns::DATAGRAM,
    llmnr::STREAM,
    llmnr::DATAGRAM,
    mdns::DATAGRAM,
    kerberos::STREAM,
    kerberos::DATAGRAM,
    kpasswd::STREAM,
    kpasswd::DATAGRAM,
    ldap::STREAM,
    ldap::DATAGRAM,
    snmp::DATAGRAM,
    tls::STREAM,
    ssh::STREAM,
    http::STREAM,
    ssdp::DATAGRAM,
    rtsp::STREAM,
    mms::STREAM,
    nmf::STREAM,
    nns::STREAM,
    sip::STREAM,
    sip::DATAGRAM,
    rdp::STREAM,
    pptp::STREAM,
    wins_replication::STREAM,
    tds::STREAM,
    bit_torrent::STREAM,
    stun::STREAM,
    stun::DATAGRAM,
    dhcp::DATAGRAM,
    dhcp6::DATAGRAM,
    madcap::DATAGRAM,
    binl::DATAGRAM,
    radius::DATAGRAM,
    isakmp::DATAGRAM,
    quic::DATAGRAM,
    dtls::DATAGRAM,
    tftp::DATAGRAM,
    ntp::DATAGRAM,
    rdp_udp::DATAGRAM,
    l2tp::DATAGRAM,
    nat_t::DATAGRAM,
    sql_browser::DATAGRAM,
    imap::STREAM,
    smtp::STREAM,
    ftp::STREAM,
    nntp::STREAM,
    pop3::STREAM,
    telnet::STREAM,
    lpd::STREAM,
    msmq::STREAM,
    msmq::DATAGRAM,
    delivery_optimization::STREAM,
    iscsi::STREAM,
    onc_rpc::STREAM,
    onc_rpc::DATAGRAM,
    ws_discovery::DATAGRAM,
    afp::STREAM,
    iso_transport::X400_STREAM,
    iso_transport::S7_STREAM,
    iso_transport::STREAM,
    chargen::STREAM,
    chargen::DATAGRAM,
    daytime::STREAM,
    daytime::DATAGRAM,
    qotd::STREAM,
    qotd::DATAGRAM,
    echo::STREAM,
    echo::DATAGRAM,
    nat_t::ENCAPSULATED,
];

/// What the definitions together say of a flow's first bytes.
#[derive(Clone, Copy)]
pub enum Recognised {
    /// This protocol, with the direction of the client where the bytes tell.
    As(&'static Definition, Option<Direction>),
    /// Nobody yet; at least one definition wants more bytes, or the other side's.
    NotYet,
    /// None that is known.
    Unknown,
}

/// Asks the definitions for this input whose flows may begin with what a side has sent, those with a
/// usual port among the flow's first.
///
/// Ask again while it says `NotYet`, with all bytes so far, up to a bound. For a flow that was not
/// seen from its start a PDU may begin at any later segment: ask again with each of those alone
/// (`from_start` false), also after `Unknown`.
pub fn recognise(input: Input, opening: &Opening) -> Recognised {
    let (usual, others) = Places::of(input, opening).by_ports(opening.ports);
    let mut answer = Recognised::Unknown;
    for definition in usual.chain(others).map(|place| &ALL[place]) {
        match (definition.probe)(opening) {
            Probe::Yes(client) => return Recognised::As(definition, client),
            Probe::NeedMore => answer = Recognised::NotYet,
            Probe::No => {}
        }
    }
    answer
}

/// The names of all protocols that are looked for, and of all fields that are read.
pub fn vocabulary() -> Vocabulary {
    let mut protocols: Vec<_> = ALL.iter().map(|one| one.protocol.name()).collect();
    let said = ALL.iter().flat_map(|one| one.says);
    let mut fields: Vec<_> = said.map(|field| field.name()).collect();
    for names in [&mut protocols, &mut fields] {
        names.sort_unstable();
        names.dedup();
    }
    Vocabulary { protocols, fields }
}

/// What carries the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// TCP: bytes in order.
    Stream,
    /// UDP: whole datagrams.
    Datagram,
}

/// The first payload bytes of a flow, or of one datagram, for a probe to look at.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The first bytes sent forward; empty if the other side spoke first.
    pub forward: &'a [u8],
    /// The first bytes sent back; empty until an answer was seen.
    pub reverse: &'a [u8],
    /// The ports: of the sender of the forward bytes, and of the other side.
    pub ports: (u16, u16),
    /// Whether the flow was seen from its start: if not, the bytes may begin anywhere.
    pub from_start: bool,
}

impl Opening<'_> {
    /// The first bytes of either side, forward first, with their direction; empty ones left out.
    pub fn sides(&self) -> impl Iterator<Item = (Direction, &[u8])> {
        [
            (Direction::Forward, self.forward),
            (Direction::Reverse, self.reverse),
        ]
        .into_iter()
        .filter(|(_, bytes)| !bytes.is_empty())
    }

    /// Whether one of the ports is `port`. Orders probes and settles close calls; proves nothing.
    pub fn has_port(&self, port: u16) -> bool {
        self.ports.0 == port || self.ports.1 == port
    }
}

/// What a probe says of the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It is this protocol, and the sender in this direction is the client where the bytes tell.
    Yes(Option<Direction>),
    /// It may be; more bytes or the other side's are needed.
    NeedMore,
    /// It is not.
    No,
}

/// Which side sends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that asks.
    Client,
    /// The side that listens.
    Server,
}

impl Role {
    /// The client's direction, where this side sends in the direction `from`.
    pub fn client(self, from: Direction) -> Direction {
        match self {
            Role::Client => from,
            Role::Server => from.reversed(),
        }
    }
}

/// What the bytes of one side are to a protocol that tells them by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// They are its, sent by this side.
    By(Role),
    /// They are its, and either side may send them.
    ByEither,
    /// They are not its.
    Other,
}

/// Shows `look` the bytes of each side of a stream. `Short` from it means that so far nothing
/// speaks against them.
fn probe_stream(opening: &Opening, look: impl Fn(&[u8]) -> Result<Look, Short>) -> Probe {
    let mut answer = Probe::No;
    for (from, bytes) in opening.sides() {
        match look(bytes) {
            Ok(Look::By(role)) => return Probe::Yes(Some(role.client(from))),
            Ok(Look::ByEither) => return Probe::Yes(None),
            Ok(Look::Other) => {}
            Err(Short) => answer = Probe::NeedMore,
        }
    }
    answer
}

/// Shows `look` a datagram of each side: one that is `Short` is not the protocol's.
fn probe_datagram(opening: &Opening, look: impl Fn(&[u8]) -> Result<Look, Short>) -> Probe {
    match probe_stream(opening, look) {
        Probe::NeedMore => Probe::No,
        answer => answer,
    }
}

/// What looks at the bytes of one side.
type Looker = fn(&[u8]) -> Result<Look, Short>;

/// Shows `look` what the server says on `port`, where only servers say anything and the flow was seen
/// from its start, as `probe` does for what carries it.
fn probe_server_on(
    port: u16,
    opening: &Opening,
    look: Looker,
    probe: fn(&Opening, Looker) -> Probe,
) -> Probe {
    let only_server = Opening {
        forward: b"",
        ..*opening
    };
    match opening.ports.1 == port && opening.from_start {
        true => probe(&only_server, look),
        false => Probe::No,
    }
}

/// Whether a datagram has the length that it says, or may have had before IP cut it in fragments,
/// of which often only the first comes here: hosts do not fragment below 576 bytes (RFC 791), less
/// the headers of IP and UDP.
fn is_long_enough(datagram: &[u8], len: usize) -> bool {
    datagram.len() >= len || datagram.len() >= 480
}

/// What a dissector wants after what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The bytes that follow.
    More,
    /// Nothing: it has said all that it can say of this flow.
    Done,
    /// Nothing: the flow turned out to be of another protocol.
    NotMine,
}

/// Follows one flow. Keeps what it needs, bounded, and adds claims to `found`.
pub trait Dissector: Send {
    /// Takes the next bytes of one direction: of a stream in order, of UDP one whole datagram. One
    /// in IP fragments may be given twice: its beginning as it comes, all of it once it is there.
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress;

    /// Says that `missing` bytes of one direction were not captured, or are of unknown number
    /// where `None`. The bytes fed next come after them.
    fn gap(&mut self, from: Direction, missing: Option<u64>);

    /// Says that the flow has ended: the last chance for claims.
    fn finish(&mut self, found: &mut Vec<Claim>);

    /// Bytes that it keeps of what the peers sent, about. Only who may keep more than a few hundred
    /// says so: all flows together have a budget ([`crate::run`]), and who keeps much goes first.
    fn kept(&self) -> usize {
        0
    }
}

/// How a flow of a protocol may begin: what its probe must know, and all others refuse. Tests and
/// fuzzers begin with these.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The server's port.
    pub port: u16,
    /// What the client sends; may be empty.
    pub client: &'static [u8],
    /// What the server sends after that; may be empty.
    pub server: &'static [u8],
}

/// Bytes that begin with `start` and go on with `rest`, for examples.
///
/// # Panics
/// If `start` is longer than all.
const fn filled<const LEN: usize>(start: &[u8], rest: u8) -> [u8; LEN] {
    let mut bytes = [rest; LEN];
    let (head, _) = bytes.split_at_mut(start.len());
    head.copy_from_slice(start);
    bytes
}

/// A protocol that is looked for.
pub struct Definition {
    /// What is claimed once the probe says yes.
    pub protocol: Protocol,
    /// What carries it.
    pub input: Input,
    /// Ports on which it is tried first. They order the probes and decide nothing.
    pub usual_ports: &'static [u16],
    /// What either side may begin with: where neither side does, the probe is not asked.
    pub begins: FirstBytes,
    /// Looks at the first bytes. Must not say yes to another protocol's.
    pub probe: fn(&Opening) -> Probe,
    /// Follows the flow once the probe has said yes, if there is more to learn.
    /// Is given the bytes that the probe said yes to, which it is then fed like the others.
    pub follow: Option<Follow>,
    /// The fields of which its dissector may claim that something was said there.
    pub says: &'static [Field],
    /// How its flows begin, one way or several; never none.
    pub examples: &'static [Example],
}

/// Makes the dissector that follows a flow which begins like this.
pub type Follow = fn(&Opening) -> Box<dyn Dissector>;

#[cfg(test)]
mod tests {
    use super::*;

    /// The ephemeral port of every client.
    const CLIENT_PORT: u16 = 50_123;

    /// Protocols of one format, which their ports alone tell apart: RFC 4795 2.1, RFC 6762 18.
    const ONE_FORMAT: &[&str] = &["dns", "llmnr", "mdns"];

    /// An example, and the definition that it is one of.
    struct Sample {
        definition: &'static Definition,
        protocol: Protocol,
        input: Input,
        talk: [&'static [u8]; 2],
        port: u16,
    }

    fn samples() -> Vec<Sample> {
        let of = |definition: &'static Definition| {
            (definition.examples.iter()).map(move |example| Sample {
                definition,
                protocol: definition.protocol,
                input: definition.input,
                talk: [example.client, example.server],
                port: example.port,
            })
        };
        ALL.iter().flat_map(of).collect()
    }

    fn opening<'a>(sample: &'a Sample, len: [usize; 2], port: u16) -> Opening<'a> {
        let [client, server] = &sample.talk;
        Opening {
            forward: read::Reader::big(client).up_to(len[0]),
            reverse: read::Reader::big(server).up_to(len[1]),
            ports: (CLIENT_PORT, port),
            from_start: true,
        }
    }

    fn whole(sample: &Sample) -> Opening<'_> {
        opening(sample, [usize::MAX; 2], sample.port)
    }

    #[test]
    fn every_definition_has_an_example_that_it_knows() {
        for definition in ALL {
            assert!(!definition.examples.is_empty(), "{:?}", definition.protocol);
        }
        for sample in samples() {
            let answer = (sample.definition.probe)(&whole(&sample));
            assert!(matches!(answer, Probe::Yes(_)), "{:?}", sample.protocol);
        }
    }

    #[test]
    fn a_name_means_one_protocol_or_field() {
        for one in ALL {
            for other in ALL {
                let is_same = one.protocol.name() == other.protocol.name();
                assert_eq!(
                    is_same,
                    one.protocol == other.protocol,
                    "{}",
                    one.protocol.name()
                );
                for (field, other) in one
                    .says
                    .iter()
                    .flat_map(|f| other.says.iter().map(move |o| (f, o)))
                {
                    assert_eq!(
                        field.name() == other.name(),
                        field == other,
                        "{}",
                        field.name()
                    );
                }
            }
        }
    }

    #[test]
    fn every_probe_knows_its_own_and_refuses_every_others() {
        for sample in samples() {
            for definition in ALL.iter().filter(|one| one.input == sample.input) {
                let answer = (definition.probe)(&whole(&sample));
                let is_its = definition.protocol == sample.protocol;
                let said_yes = matches!(answer, Probe::Yes(_));
                let who = (definition.protocol, sample.protocol, sample.port);
                assert_eq!(said_yes, is_its, "{who:?}: {answer:?}");
            }
        }
    }

    #[test]
    fn the_client_is_never_taken_for_the_server() {
        for sample in samples() {
            if let Recognised::As(_, Some(client)) = recognise(sample.input, &whole(&sample)) {
                assert_eq!(client, Direction::Forward, "{:?}", sample.protocol);
            }
        }
    }

    #[test]
    fn a_stream_torn_at_every_byte_is_undecided_or_known() {
        for sample in samples() {
            if sample.input == Input::Datagram {
                continue;
            }
            let [client, server] = &sample.talk;
            for side in [0, 1] {
                for len in 1..[client.len(), server.len()][side] {
                    let mut lens = [client.len(), server.len()];
                    lens[side] = len;
                    match recognise(sample.input, &opening(&sample, lens, sample.port)) {
                        Recognised::As(as_what, _) => {
                            assert_eq!(as_what.protocol, sample.protocol, "{len}");
                        }
                        Recognised::NotYet => {}
                        Recognised::Unknown => panic!("{:?} at {len}", sample.protocol),
                    }
                }
            }
        }
    }

    #[test]
    fn a_datagram_cut_anywhere_is_not_taken_for_another_protocol() {
        for sample in samples() {
            if sample.input == Input::Stream {
                continue;
            }
            let [client, server] = &sample.talk;
            for side in [0, 1] {
                for len in 1..[client.len(), server.len()][side] {
                    let mut lens = [0, 0];
                    lens[side] = len;
                    let cut = opening(&sample, lens, sample.port);
                    if let Recognised::As(as_what, _) = recognise(sample.input, &cut) {
                        assert_eq!(as_what.protocol, sample.protocol, "{len}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_known_by_its_port() {
        for sample in samples() {
            for other in samples() {
                let elsewhere = opening(&sample, [usize::MAX; 2], other.port);
                if let Recognised::As(as_what, _) = recognise(sample.input, &elsewhere) {
                    let names = [as_what.protocol, sample.protocol].map(Protocol::name);
                    let is_its = names[0] == names[1];
                    let shares_format = names.iter().all(|name| ONE_FORMAT.contains(name));
                    assert!(is_its || shares_format, "{names:?} on {}", other.port);
                }
            }
        }
    }

    #[test]
    fn noise_is_no_protocol() {
        // A linear congruential generator, so that every run hears the same noise.
        let mut state: u32 = 1;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for round in 0..20_000 {
            let bytes: Vec<u8> = (0..round % 97 + 2).map(|_| noise()).collect();
            for input in [Input::Stream, Input::Datagram] {
                let heard = Opening {
                    forward: &bytes,
                    reverse: &[],
                    ports: (CLIENT_PORT, 9),
                    from_start: round % 2 == 0,
                };
                if let Recognised::As(as_what, _) = recognise(input, &heard) {
                    panic!("{:?} is {bytes:x?}", as_what.protocol);
                }
            }
        }
    }

    #[test]
    fn followers_survive_any_bytes_anywhere_and_tell_only_what_they_say_that_they_tell() {
        let samples = samples();
        for definition in ALL {
            let Some(follow) = definition.follow else {
                continue;
            };
            for sample in samples.iter().filter(|one| one.input == definition.input) {
                let mut found = Vec::new();
                let mut follower = follow(&whole(sample));
                for (at, other) in samples.iter().enumerate() {
                    let from = [Direction::Forward, Direction::Reverse][at % 2];
                    follower.feed(from, other.talk[at % 2], &mut found);
                    follower.gap(from, Some(at as u64));
                    follower.feed(from, sample.talk[at % 2], &mut found);
                }
                follower.gap(Direction::Reverse, None);
                follower.finish(&mut found);
                for claim in &found {
                    if let Claim::Said { field, .. } | Claim::CarriedFor { field, .. } = claim {
                        let says = definition.says;
                        assert!(says.contains(field), "{:?}: {field:?}", definition.protocol);
                    }
                }
            }
        }
    }
}
