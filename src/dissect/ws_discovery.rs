//! Web Services Dynamic Discovery: SOAP over UDP, by which devices and computers are looked for.

use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Progress, Role, names, probe_datagram,
};
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::{Field, Protocol};

/// Web Services Dynamic Discovery (WS-Discovery 1.1).
pub const PROTOCOL: Protocol = Protocol::new(&["ws-discovery", "WS-Discovery"]);

/// The types that a device has, or that are looked for (WS-Discovery 1.1 5.2, 5.3).
const TYPES: Field = Field::new(&["wsd-types", "WS-Discovery types"]);

/// WS-Discovery over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[3702],
    begins: FirstBytes::of(b"< \t\r\n\x0c"),
    probe: |opening| probe_datagram(opening, look),
    follow: Some(|_| Box::new(Types::default())),
    says: &[TYPES],
    examples: &[Example {
        port: 3702,
        client: b"<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope \
        xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\"><soap:Header><wsa:Action>\
        http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</wsa:Action></soap:Header>\
        </soap:Envelope>",
        server: b"",
    }],
};

/// What the actions of the two versions begin with.
const NAMESPACES: [&[u8]; 2] = [
    b"http://schemas.xmlsoap.org/ws/2005/04/discovery/",
    b"http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01/",
];

/// What they end with, and who says it. Greetings are for nobody in particular.
const ACTIONS: [(&[u8], Look); 6] = [
    (b"Probe<", Look::By(Role::Client)),
    (b"Resolve<", Look::By(Role::Client)),
    (b"ProbeMatches<", Look::By(Role::Server)),
    (b"ResolveMatches<", Look::By(Role::Server)),
    (b"Hello<", Look::ByEither),
    (b"Bye<", Look::ByEither),
];

/// XML in which a namespace of discovery leads to one of its actions.
fn look(bytes: &[u8]) -> Result<Look, Short> {
    let is_xml = bytes.trim_ascii_start().starts_with(b"<");
    let action = NAMESPACES.iter().filter(|_| is_xml).find_map(|namespace| {
        // The namespace alone is declared before, without the slash at its end.
        let name = after(bytes, namespace)?;
        let action = ACTIONS.iter().find(|(action, _)| name.starts_with(action));
        action.map(|(_, look)| *look)
    });
    Ok(action.unwrap_or(Look::Other))
}

/// What follows the first `mark`.
fn after<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = (bytes.windows(mark.len())).position(|window| window == mark)?;
    let mut r = Reader::big(bytes);
    r.skip(at + mark.len()).ok()?;
    Some(r.rest())
}

/// How many datagrams are looked at: a search is repeated, an answer comes once.
const MAX_DATAGRAMS: u32 = 8;

/// Claims the first types that each side names.
#[derive(Default)]
struct Types {
    said: [bool; 2],
    datagrams: u32,
}

impl Dissector for Types {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        self.datagrams += 1;
        let said = &mut self.said[from.index()];
        if !*said
            && look(bytes) != Ok(Look::Other)
            && let Some(text) = types(bytes)
        {
            *said = true;
            found.push(Claim::Said {
                field: TYPES,
                text,
                by: from,
            });
        }
        match self.said == [true, true] || self.datagrams >= MAX_DATAGRAMS {
            true => Progress::Done,
            false => Progress::More,
        }
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

/// The text of the element `Types`, whatever its prefix and attributes.
fn types(message: &[u8]) -> Option<String> {
    let element = after(message, b":Types")?;
    let mut r = Reader::big(element);
    r.until(b'>').ok()?;
    let text = names::text(r.until(b'<').ok()?.trim_ascii());
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::samples::{assert_cut_claims_no_other, claims};
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn message(action: &str, types: &str) -> Vec<u8> {
        let namespace = "http://schemas.xmlsoap.org/ws/2005/04/discovery";
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:d=\"{namespace}\"><s:Header><a:Action>\
             {namespace}/{action}</a:Action></s:Header><d:Types a=\"b\">{types}</d:Types>"
        )
        .into_bytes()
    }

    fn said(text: &str, by: Direction) -> Claim {
        Claim::Said {
            field: TYPES,
            text: text.into(),
            by,
        }
    }

    #[test]
    fn each_side_says_its_types() {
        let (asks, answers) = (
            message("Probe", "wsdp:Device"),
            message("ProbeMatches", "wsdp:Device pub:Computer"),
        );
        assert_eq!(look(&asks), Ok(Look::By(Role::Client)));
        assert_eq!(look(&answers), Ok(Look::By(Role::Server)));
        let talk = [(Forward, &asks[..]), (Reverse, &answers)];
        let expected = [
            said("wsdp:Device", Forward),
            said("wsdp:Device pub:Computer", Reverse),
        ];
        assert_eq!(claims(&DATAGRAM, &talk), expected);
        assert_cut_claims_no_other(&DATAGRAM, &talk);
    }

    #[test]
    fn other_xml_is_not_discovery() {
        for bytes in [
            &b"<?xml version=\"1.0\"?><a/>"[..],
            &message("Probing", "x"),
            &message("Nothing", "x"),
            b"http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe<",
            b"",
        ] {
            assert_eq!(look(bytes), Ok(Look::Other));
            assert_eq!(claims(&DATAGRAM, &[(Forward, bytes)]), []);
        }
    }

    #[test]
    fn searches_without_types_are_not_followed_for_ever() {
        let (mut types, mut found) = (Types::default(), Vec::new());
        let search = message("Probe", "");
        let more = |_: &u32| types.feed(Forward, &search, &mut found) == Progress::More;
        assert_eq!(
            (0..100).take_while(more).count(),
            MAX_DATAGRAMS as usize - 1
        );
        assert!(found.is_empty());
    }
}
