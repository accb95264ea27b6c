//! NetBIOS datagram service (RFC 1002 4.4): names of sender and receiver, then mostly a mailslot
//! write, which `mailslot.rs` reads.

use crate::dissect::netbios_name::{Uses, encoded};
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, mailslot, probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::netbios::{NameKind, NameUse, NetbiosName};
use crate::model::protocol::{Field, Protocol};

/// NetBIOS datagram service (RFC 1002 4.4).
pub const PROTOCOL: Protocol = Protocol::new(&["netbios-datagram", "NetBIOS Datagram Service"]);

/// NetBIOS datagrams over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[138],
    begins: FirstBytes::range(0x10, 0x16),
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| Box::new(DatagramService::default())),
    says: &[mailslot::SYSTEM_VERSION, mailslot::RUNS],
    examples: &[Example {
        port: 138,
        client: b"\x11\n\0\x01\n\0\0\x01\0\x8a\0\xaa\0\0 CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0 CK\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\xffSMB",
        server: b"",
    }],
};

/// How many mailslots of a flow are told apart: Windows has half a dozen, and each search for a
/// domain controller adds one for its answers.
const MAX_MAILSLOTS: usize = 32;

/// How many announcements of a flow are told apart: a host says the same each time.
const MAX_ANNOUNCED: usize = 16;

fn look(bytes: &[u8]) -> Result<Look, Short> {
    Ok(match Names::read(&mut Reader::big(bytes))? {
        Some(_) => Look::ByEither,
        None => Look::Other,
    })
}

/// The names in front of a datagram.
enum Names {
    /// Of its sender and its receiver.
    Sent(NetbiosName, NetbiosName),
    /// The one that was asked for, or found (RFC 1002 4.4.4).
    Query(NameUse, NetbiosName),
    /// Of a name that is not there.
    Unknown,
}

impl Names {
    /// Reads header and names; `None` if it is not of this protocol.
    fn read(r: &mut Reader) -> Result<Option<Names>, Short> {
        let [kind, flags] = r.array()?;
        r.skip(2 + 4 + 2)?; // datagram id, source address and port
        if flags & 0xf0 != 0 {
            return Ok(None);
        }
        Ok(match kind {
            // Direct to one, to a group, broadcast: length, offset, then both names.
            0x10..=0x12 => {
                r.skip(4)?;
                let (source, destination) = match encoded(r)? {
                    Some(source) => (source, encoded(r)?),
                    None => return Ok(None),
                };
                destination.map(|destination| Names::Sent(source, destination))
            }
            0x14 => encoded(r)?.map(|name| Names::Query(NameUse::AskedFor, name)),
            0x15 => encoded(r)?.map(|name| Names::Query(NameUse::Resolved, name)),
            0x16 => encoded(r)?.map(|_| Names::Unknown),
            _ => None,
        })
    }
}

/// Follows datagrams: who sends to whom, and to which mailslots.
#[derive(Default)]
struct DatagramService {
    uses: Uses,
    /// What was announced. Bounded by [`MAX_ANNOUNCED`].
    announced: Vec<(Field, String, Direction)>,
    /// Mailslots with the bytes of their datagrams. Bounded by [`MAX_MAILSLOTS`].
    mailslots: Vec<(String, u64)>,
}

impl Dissector for DatagramService {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        // A datagram that ends early has said what it could.
        let _ = self.see(from, bytes, found);
        Progress::More
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, found: &mut Vec<Claim>) {
        let mailslots = std::mem::take(&mut self.mailslots).into_iter();
        found.extend(
            mailslots.map(|(mailslot, bytes)| Claim::CarriedToMailslot { mailslot, bytes }),
        );
    }
}

impl DatagramService {
    fn see(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Result<(), Short> {
        let mut r = Reader::big(bytes);
        match Names::read(&mut r)? {
            Some(Names::Sent(source, destination)) => {
                let one = Some(NameKind::Unique);
                self.uses.note(source, one, NameUse::SentFrom, from, found);
                // Whatever the kind of the datagram: Windows sends as to a group to one's names.
                self.uses
                    .note(destination, None, NameUse::SentTo, from, found);
            }
            Some(Names::Query(used, name)) => {
                self.uses.note(name, None, used, from, found);
                return Ok(());
            }
            Some(Names::Unknown) | None => return Ok(()),
        }
        if let Some(write) = mailslot::read(r.rest())? {
            self.write(from, write, bytes.len() as u64, found);
        }
        Ok(())
    }

    fn tell(&mut self, field: Field, text: String, by: Direction, found: &mut Vec<Claim>) {
        let said = (field, text.clone(), by);
        if text.is_empty()
            || self.announced.len() >= MAX_ANNOUNCED
            || self.announced.contains(&said)
        {
            return;
        }
        self.announced.push(said);
        found.push(Claim::Said { field, text, by });
    }

    fn write(
        &mut self,
        from: Direction,
        write: mailslot::Write,
        bytes: u64,
        found: &mut Vec<Claim>,
    ) {
        if let Some(announcement) = write.announcement {
            self.tell(mailslot::SYSTEM_VERSION, announcement.version, from, found);
            self.tell(mailslot::RUNS, announcement.runs, from, found);
        }
        let known = (self.mailslots.iter_mut()).find(|(name, _)| *name == write.mailslot);
        if let Some((_, carried)) = known {
            *carried += bytes;
            return;
        }
        if self.mailslots.len() >= MAX_MAILSLOTS {
            return;
        }
        if write.answers {
            found.push(Claim::ClientIs(from.reversed()));
        }
        found.push(Claim::SentToMailslot(write.mailslot.clone()));
        self.mailslots.push((write.mailslot, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::mailslot::samples::{Text, write};
    use crate::dissect::netbios_name::MAX_USES;
    use crate::dissect::netbios_name::samples::{name, on_the_wire};
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn datagram(kind: u8, suffix: u8, payload: &[u8]) -> Vec<u8> {
        let head = [kind, 0x0a, 0, 1, 10, 0, 0, 1, 0, 138, 0, 0, 0, 0];
        let names = [on_the_wire(name(0)), on_the_wire(name(suffix))].concat();
        [&head, &names[..], payload].concat()
    }

    fn to_mailslot(suffix: u8, path: &str, data: &[u8]) -> Vec<u8> {
        datagram(0x11, suffix, &write(path, Text::Bytes, data))
    }

    fn claims(talk: &[(Direction, Vec<u8>)]) -> Vec<Claim> {
        let (mut service, mut found) = (DatagramService::default(), Vec::new());
        for (from, bytes) in talk {
            service.feed(*from, bytes, &mut found);
        }
        service.finish(&mut found);
        found
    }

    fn said(suffix: u8, used: NameUse, by: Direction) -> Claim {
        Claim::NetbiosName {
            name: name(suffix),
            kind: (used == NameUse::SentFrom).then_some(NameKind::Unique),
            used,
            by,
        }
    }

    #[test]
    fn a_datagram_names_sender_receiver_and_mailslot_once() {
        let announcement = to_mailslot(0x1d, "\\MAILSLOT\\BROWSE", &[1]);
        let bytes = 2 * announcement.len() as u64;
        let expected = [
            said(0, NameUse::SentFrom, Forward),
            said(0x1d, NameUse::SentTo, Forward),
            Claim::SentToMailslot("browse".into()),
            Claim::CarriedToMailslot {
                mailslot: "browse".into(),
                bytes,
            },
        ];
        let talk = [(Forward, announcement.clone()), (Forward, announcement)];
        assert_eq!(claims(&talk), expected);
    }

    #[test]
    fn a_domain_controllers_answer_tells_who_asked() {
        let answer = to_mailslot(0, "\\MAILSLOT\\NET\\GETDC817", &[0x13, 0]);
        assert!(claims(&[(Forward, answer.clone())]).contains(&Claim::ClientIs(Reverse)));
        let query = to_mailslot(0x1c, "\\MAILSLOT\\NET\\NETLOGON", &[7, 0]);
        let found = claims(&[(Forward, query), (Reverse, answer)]);
        assert!(found.contains(&Claim::ClientIs(Forward)));
    }

    #[test]
    fn a_datagram_without_a_mailslot_keeps_its_names() {
        let found = claims(&[(Forward, datagram(0x10, 0x03, b"hello"))]);
        let expected = [
            said(0, NameUse::SentFrom, Forward),
            said(0x03, NameUse::SentTo, Forward),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_query_for_a_name_is_a_use_of_it() {
        let head = [0x14, 0, 0, 1, 10, 0, 0, 1, 0, 138];
        let query = [&head[..], &on_the_wire(name(0x20))].concat();
        assert_eq!(look(&query), Ok(Look::ByEither));
        let found = claims(&[(Forward, query)]);
        assert_eq!(found, [said(0x20, NameUse::AskedFor, Forward)]);
    }

    #[test]
    fn an_error_and_an_unknown_kind_say_nothing() {
        for kind in [0x00, 0x13, 0x17, 0xff] {
            let other = datagram(kind, 0x20, &[]);
            assert_eq!(look(&other), Ok(Look::Other));
            assert_eq!(claims(&[(Forward, other)]), []);
        }
    }

    #[test]
    fn a_datagram_cut_anywhere_claims_nothing_that_the_whole_does_not() {
        let whole = to_mailslot(0x1d, "\\MAILSLOT\\BROWSE", &[]);
        let all = claims(&[(Forward, whole.clone())]);
        for len in 0..whole.len() {
            let found = claims(&[(Forward, whole[..len].to_vec())]);
            assert!(found.iter().all(|claim| all.contains(claim)), "{len}");
        }
    }

    #[test]
    fn names_and_mailslots_are_kept_within_their_bounds() {
        let talk = (0..=255).map(|n: u8| {
            let path = format!("\\MAILSLOT\\NET\\GETDC{n}");
            (Forward, to_mailslot(n, &path, &[]))
        });
        let found = claims(&talk.collect::<Vec<_>>());
        let count = |wanted: fn(&Claim) -> bool| found.iter().filter(|one| wanted(one)).count();
        assert_eq!(
            count(|one| matches!(one, Claim::NetbiosName { .. })),
            MAX_USES
        );
        assert_eq!(
            count(|one| matches!(one, Claim::SentToMailslot(_))),
            MAX_MAILSLOTS
        );
    }
}
