//! Records to packets: link headers, IP, fragments, tunnels, and transport headers.
//!
//! In comes a record with its bytes; [`Decoder::decode`] walks `link` to the IP header, `ip` to the
//! transport header, `transport` to the payload, and `tunnel` to what is inside, where it begins
//! again. Out come packets, whose payload still lies in the record. Next is `flow`.
//!
//! Nothing that a cut record can still tell is lost, and checksums are not looked at: offloading
//! leaves them wrong. All of etherparse stays here. Its header slices check what is whole; around
//! them lengths are taken as they come.

mod fragment;
mod gre;
mod ip;
mod layer;
mod link;
mod transport;
mod tunnel;
mod undecoded;

use std::net::IpAddr;
use std::sync::Arc;

pub use undecoded::Undecoded;

use crate::model::five_tuple::{FiveTuple, Peer, Tunnel};
use crate::model::packet::{Packet, Record, Span};
use fragment::{First, Fragments, Key};
use ip::{Fragment, Ip};
use layer::Layer;
use transport::Transport;
use tunnel::{Content, Inner, Tunnels};

/// Makes packets of records. Remembers only datagrams in parts and the names of tunnels, bounded.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
    tunnels: Tunnels,
    losses: Losses,
}

/// What a decoder could not do, counted in packets unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Later fragments that became packets without ports, because their first was not seen.
    pub orphan_fragments: u64,
    /// Fragmented datagrams forgotten before their time because there were too many.
    pub datagrams_given_up: u64,
    /// Packets whose inner packet was not looked at: more tunnels in each other than the bound.
    pub too_deep: u64,
    /// Packets of a tunnel whose inside became no packet: no IP, cut, or compressed or encrypted.
    pub inner_undecoded: u64,
}

impl Decoder {
    /// Tunnels in each other that are entered; real networks nest three (GRE in ESP in VXLAN).
    const MAX_TUNNELS: usize = 8;

    /// A decoder that has seen nothing yet.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Adds to `out` the packet of this record, then each packet that it carries, outermost first.
    /// `bytes` are those that `record.bytes` names.
    ///
    /// Packets may stand before it that belong to earlier frames: later fragments that had waited
    /// for their first, or whose time is over. They have no payload and the ports of their first
    /// fragment, or 0 if it never came. A record that is such a waiting fragment adds nothing.
    ///
    /// # Errors
    ///
    /// The reason, where the outermost packet cannot be told. `out` is then as it was, but for such
    /// fragments.
    pub fn decode(
        &mut self,
        record: &Record,
        bytes: &[u8],
        out: &mut Vec<Packet>,
    ) -> Result<(), Undecoded> {
        self.fragments.expire(record.time, out);
        let shape = link::shape(record.link).ok_or(Undecoded::LinkType(record.link))?;
        let found = link::find_ip(shape, Layer::new(bytes, record.wire_len))?;
        let mut at = Position {
            ip: ip::read(found.layer)?,
            vlan: found.vlan,
            tunnel: None,
        };
        let mut inner = self.put_out(record, &at, out)?;
        let mut depth = 0;
        while let Some(carried) = inner {
            if depth == Self::MAX_TUNNELS {
                self.losses.too_deep += 1;
                break;
            }
            depth += 1;
            let entered = self.enter(&carried, &at).and_then(|next| {
                at = next;
                self.put_out(record, &at, out)
            });
            inner = entered.unwrap_or_else(|_| {
                self.losses.inner_undecoded += 1;
                None
            });
        }
        Ok(())
    }

    /// Adds to `out` the fragments that still wait for their first: none will come.
    pub fn finish(&mut self, out: &mut Vec<Packet>) {
        self.fragments.finish(out);
    }

    /// What could not be done so far.
    pub fn losses(&self) -> Losses {
        Losses {
            orphan_fragments: self.fragments.orphans,
            datagrams_given_up: self.fragments.given_up,
            ..self.losses
        }
    }

    /// Adds the packet at this position, and says what it carries.
    fn put_out<'a>(
        &mut self,
        record: &Record,
        at: &Position<'a>,
        out: &mut Vec<Packet>,
    ) -> Result<Option<Inner<'a>>, Undecoded> {
        let ip = &at.ip;
        if let Some(part) = ip.fragment
            && !part.is_first
        {
            let packet = at.later_part(record);
            match part.hides_ports() {
                true => self.fragments.later(at.key(part), packet, out),
                false => out.push(packet),
            }
            return Ok(None);
        }
        let transport = transport::read(ip.protocol, ip.payload).ok_or(Undecoded::CutTransport)?;
        if let Some(part) = ip.fragment
            && part.hides_ports()
        {
            let first = First {
                protocol: ip.protocol,
                ports: transport.ports,
            };
            self.fragments.first(at.key(part), first, record.time, out);
        }
        out.push(at.packet(record, &transport));
        Ok(tunnel::inner(ip, &transport))
    }

    /// Goes into what the packet at this position carries.
    fn enter<'a>(
        &mut self,
        inner: &Inner<'a>,
        at: &Position<'a>,
    ) -> Result<Position<'a>, Undecoded> {
        let (ip, vlan) = match inner.content {
            Content::Frame(shape, layer) => {
                let found = link::find_ip(shape, layer)?;
                (ip::read(found.layer)?, at.vlan.or(found.vlan))
            }
            Content::Protected(protocol, payload) => {
                let ip = Ip {
                    protocol,
                    payload,
                    ..at.ip
                };
                (ip, at.vlan)
            }
        };
        let hosts = (at.ip.source, at.ip.destination);
        Ok(Position {
            ip,
            vlan,
            tunnel: Some(self.tunnels.name(inner, hosts, at.tunnel.clone())),
        })
    }
}

/// An IP header, and what was around it.
#[derive(Clone, Debug)]
struct Position<'a> {
    ip: Ip<'a>,
    vlan: Option<u16>,
    tunnel: Option<Arc<Tunnel>>,
}

impl Position<'_> {
    fn packet(&self, record: &Record, transport: &Transport) -> Packet {
        let ip = &self.ip;
        Packet {
            time: record.time,
            frame: record.frame,
            tuple: FiveTuple {
                source: peer(ip.source, transport.ports.0),
                destination: peer(ip.destination, transport.ports.1),
                protocol: ip.protocol,
            },
            wire_bytes: ip.wire_bytes,
            tcp: transport.tcp,
            payload: transport.payload.span(record.bytes),
            payload_missing: transport.payload.missing(),
            fragmented: ip.fragment.is_some(),
            ttl: ip.ttl,
            vlan: self.vlan,
            spi: transport.spi,
            gre_key: transport.gre_key,
            tunnel: self.tunnel.clone(),
        }
    }

    /// A later fragment: counted with its bytes, its payload not looked at.
    fn later_part(&self, record: &Record) -> Packet {
        Packet {
            time: record.time,
            frame: record.frame,
            tuple: FiveTuple {
                source: peer(self.ip.source, 0),
                destination: peer(self.ip.destination, 0),
                protocol: self.ip.protocol,
            },
            wire_bytes: self.ip.wire_bytes,
            tcp: None,
            payload: Span::default(),
            payload_missing: 0,
            fragmented: false,
            ttl: self.ip.ttl,
            vlan: self.vlan,
            spi: None,
            gre_key: None,
            tunnel: self.tunnel.clone(),
        }
    }

    fn key(&self, part: Fragment) -> Key {
        Key {
            source: self.ip.source,
            destination: self.ip.destination,
            id: part.id,
            protocol: part.protocol,
            tunnel: self.tunnel.clone(),
        }
    }
}

fn peer(address: IpAddr, port: u16) -> Peer {
    Peer { address, port }
}
