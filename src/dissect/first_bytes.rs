//! The bytes that protocols may begin with, so that few probes are asked of any payload.

use crate::dissect::{ALL, Input, Opening};

/// A set of bytes: those that either side of a protocol may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstBytes([u128; 2]);

impl FirstBytes {
    /// All bytes: what comes first tells nothing.
    pub const ANY: FirstBytes = FirstBytes([u128::MAX; 2]);

    /// What a word of a head may begin with: a letter, or what methods have beside letters.
    pub const WORD: FirstBytes = FirstBytes::range(b'A', b'Z')
        .and(FirstBytes::range(b'a', b'z'))
        .and(FirstBytes::of(b"-_"));

    /// The characters that print.
    pub const PRINTABLE: FirstBytes = FirstBytes::range(b' ', b'~');

    const NONE: FirstBytes = FirstBytes([0; 2]);

    /// These bytes.
    pub const fn of(bytes: &[u8]) -> FirstBytes {
        let mut set = FirstBytes::NONE;
        let mut at = 0;
        while at < bytes.len() {
            set = set.with(bytes[at]);
            at += 1;
        }
        set
    }

    /// The bytes from `first` to `last`, both among them.
    pub const fn range(first: u8, last: u8) -> FirstBytes {
        let mut set = FirstBytes::NONE;
        let mut byte = first as usize;
        while byte <= last as usize {
            set = set.with(byte as u8);
            byte += 1;
        }
        set
    }

    /// What these words begin with, their letters in either case.
    pub const fn of_words(words: &[&str]) -> FirstBytes {
        let mut set = FirstBytes::NONE;
        let mut at = 0;
        while at < words.len() {
            let first = words[at].as_bytes()[0];
            set = (set.with(first.to_ascii_uppercase())).with(first.to_ascii_lowercase());
            at += 1;
        }
        set
    }

    /// The bytes of both.
    pub const fn and(self, other: FirstBytes) -> FirstBytes {
        FirstBytes([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    /// Whether `byte` is one of them.
    pub const fn has(self, byte: u8) -> bool {
        self.0[byte as usize / 128] >> (byte % 128) & 1 == 1
    }

    const fn with(mut self, byte: u8) -> FirstBytes {
        self.0[byte as usize / 128] |= 1 << (byte % 128);
        self
    }
}

/// The places in [`ALL`] of some definitions, in its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places(u128);

impl Places {
    /// The definitions for this input that one side's first byte is right for.
    pub fn of(input: Input, opening: &Opening) -> Places {
        let by_byte = &BY_BYTE[input as usize];
        let side = |bytes: &[u8]| bytes.first().map_or(0, |byte| by_byte[usize::from(*byte)]);
        Places(side(opening.forward) | side(opening.reverse))
    }

    /// Those of them that one of the ports is usual for, and the others.
    pub fn by_ports(self, ports: (u16, u16)) -> (Places, Places) {
        let usual = BY_PORT.of(ports.0) | BY_PORT.of(ports.1);
        (Places(self.0 & usual), Places(self.0 & !usual))
    }
}

impl Iterator for Places {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let next = (self.0 != 0).then_some(self.0.trailing_zeros() as usize)?;
        self.0 &= self.0 - 1;
        Some(next)
    }
}

/// For each input and each byte, the definitions that may begin with it: bits by their places.
static BY_BYTE: [[u128; 256]; 2] = {
    assert!(ALL.len() <= u128::BITS as usize);
    let mut by_byte = [[0; 256]; 2];
    let mut place = 0;
    while place < ALL.len() {
        let of_input = &mut by_byte[ALL[place].input as usize];
        let mut byte = 0;
        while byte < 256 {
            if ALL[place].begins.has(byte as u8) {
                of_input[byte] |= 1 << place;
            }
            byte += 1;
        }
        place += 1;
    }
    by_byte
};

/// The definitions that a port is usual for: a table of twice as many rows as there can be ports in
/// it, each port in the first free row from its own on.
struct ByPort {
    /// The port of each row; 0 where there is none.
    ports: [u16; ByPort::ROWS],
    /// Bits by their places.
    places: [u128; ByPort::ROWS],
}

static BY_PORT: ByPort = ByPort::new();

impl ByPort {
    const ROWS: usize = 512;

    const fn new() -> ByPort {
        let mut table = ByPort {
            ports: [0; ByPort::ROWS],
            places: [0; ByPort::ROWS],
        };
        let (mut place, mut count) = (0, 0);
        while place < ALL.len() {
            let usual = ALL[place].usual_ports;
            let mut at = 0;
            while at < usual.len() {
                assert!(usual[at] != 0);
                let row = table.row(usual[at]);
                table.ports[row] = usual[at];
                table.places[row] |= 1 << place;
                (at, count) = (at + 1, count + 1);
            }
            place += 1;
        }
        assert!(count * 2 <= ByPort::ROWS);
        table
    }

    fn of(&self, port: u16) -> u128 {
        self.places[self.row(port)]
    }

    /// The row of a port, or the free one where it would be.
    const fn row(&self, port: u16) -> usize {
        // The fraction of the golden ratio: ports that follow each other lie apart.
        let mut row = (port.wrapping_mul(0x9e37) >> 7) as usize;
        while self.ports[row] != 0 && self.ports[row] != port {
            row = (row + 1) % ByPort::ROWS;
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::{Definition, Probe};

    #[test]
    fn a_set_has_what_it_was_made_of_and_nothing_else() {
        let set = FirstBytes::of(b"\0\x7f\x80\xff").and(FirstBytes::range(b'a', b'c'));
        let has: Vec<u8> = (0..=255).filter(|byte| set.has(*byte)).collect();
        assert_eq!(has, b"\0abc\x7f\x80\xff");
        assert_eq!(
            FirstBytes::of_words(&["Quit", "+OK"]),
            FirstBytes::of(b"Qq+")
        );
        assert!((0..=255).all(|byte| FirstBytes::ANY.has(byte)));
    }

    #[test]
    fn places_come_in_their_order_each_once() {
        let places = Places(1 << 127 | 1 << 5 | 1);
        assert_eq!(places.collect::<Vec<_>>(), [0, 5, 127]);
    }

    #[test]
    fn a_port_puts_first_the_definitions_that_it_is_usual_for() {
        let all = Places(u128::MAX >> (128 - ALL.len()));
        for ports in (0..=u16::MAX).map(|port| (port, 50_000)) {
            let is_usual = |place: &usize| {
                let usual = ALL[*place].usual_ports;
                usual.contains(&ports.0) || usual.contains(&ports.1)
            };
            let (usual, others) = all.by_ports(ports);
            assert!(usual.into_iter().all(|place| is_usual(&place)), "{ports:?}");
            assert!(
                !others.into_iter().any(|place| is_usual(&place)),
                "{ports:?}"
            );
            assert_eq!(usual.count() + others.count(), ALL.len());
        }
    }

    #[test]
    fn every_example_begins_as_its_definition_says() {
        for definition in ALL {
            for example in definition.examples {
                let sides = [example.client, example.server];
                let fits = |side: &[u8]| {
                    side.first()
                        .is_some_and(|byte| definition.begins.has(*byte))
                };
                assert!(sides.into_iter().any(fits), "{:?}", definition.protocol);
            }
        }
    }

    /// Where the first byte of an example is another, its probe must not know it: else a flow that
    /// begins so would not be asked about.
    #[test]
    fn no_probe_knows_what_begins_with_none_of_its_first_bytes() {
        for definition in ALL {
            for example in definition.examples {
                for byte in (0..=255).filter(|byte| !definition.begins.has(*byte)) {
                    refuses(
                        definition,
                        example.port,
                        [example.client, example.server],
                        byte,
                    );
                }
            }
        }
    }

    fn refuses(definition: &Definition, port: u16, sides: [&[u8]; 2], byte: u8) {
        let [forward, reverse] = sides.map(|side| {
            let mut side = side.to_vec();
            side.iter_mut().take(1).for_each(|first| *first = byte);
            side
        });
        for from_start in [true, false] {
            let opening = Opening {
                forward: &forward,
                reverse: &reverse,
                ports: (50_000, port),
                from_start,
            };
            let answer = (definition.probe)(&opening);
            let who = (definition.protocol, byte, from_start);
            assert!(!matches!(answer, Probe::Yes(_)), "{who:?}: {answer:?}");
        }
    }
}
