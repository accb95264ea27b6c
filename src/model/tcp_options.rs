//! Which options a TCP header has, and in what order.

use std::fmt;
use std::num::NonZeroU32;

/// Which options a TCP header has, in their order (RFC 9293 3.2): each stack has its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TcpOptions(NonZeroU32);

impl TcpOptions {
    /// "No operation", which fills up.
    pub const FILL: u8 = 1;
    /// Maximum segment size.
    pub const SEGMENT: u8 = 2;
    /// Window scale (RFC 7323 2).
    pub const SCALE: u8 = 3;
    /// Selective acknowledgements permitted (RFC 2018 2).
    pub const SELECTIVE: u8 = 4;
    /// Timestamps (RFC 7323 3).
    pub const TIMES: u8 = 8;

    /// How many are told: no stack known by them answers with more.
    const MAX: usize = 8;

    /// These kinds in this order; `None` if there are none, more than eight, or one above 14.
    pub const fn of(kinds: &[u8]) -> Option<TcpOptions> {
        if kinds.len() > TcpOptions::MAX {
            return None;
        }
        // Four bits for each, one more than its kind so that the end of the list is not a kind.
        let (mut all, mut at) = (0, 0);
        while at < kinds.len() {
            if kinds[at] > 14 {
                return None;
            }
            all = all << 4 | (kinds[at] as u32 + 1);
            at += 1;
        }
        match NonZeroU32::new(all) {
            Some(all) => Some(TcpOptions(all)),
            None => None,
        }
    }

    /// Reads the options of a header; `None` as for [`TcpOptions::of`], or if one is broken.
    pub fn read(mut options: &[u8]) -> Option<TcpOptions> {
        let mut kinds = [0; TcpOptions::MAX];
        let mut count = 0;
        while let [kind, rest @ ..] = options {
            *kinds.get_mut(count)? = *kind;
            count += 1;
            options = match (*kind, rest) {
                (0, _) => &[],
                (TcpOptions::FILL, _) => rest,
                (_, [len, ..]) => options.get(usize::from(*len).max(2)..)?,
                (_, []) => return None,
            };
        }
        TcpOptions::of(kinds.get(..count)?)
    }

    /// Their kinds.
    fn kinds(self) -> impl Iterator<Item = u8> {
        let nibble = move |place: u32| (self.0.get() >> (4 * place)) as u8 & 15;
        (0..8)
            .rev()
            .map(nibble)
            .filter_map(|one| one.checked_sub(1))
    }
}

/// As lists of fingerprints write them: `mss,sok,ts,nop,ws`.
impl fmt::Display for TcpOptions {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (at, kind) in self.kinds().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            match kind {
                0 => f.write_str("eol")?,
                TcpOptions::FILL => f.write_str("nop")?,
                TcpOptions::SEGMENT => f.write_str("mss")?,
                TcpOptions::SCALE => f.write_str("ws")?,
                TcpOptions::SELECTIVE => f.write_str("sok")?,
                TcpOptions::TIMES => f.write_str("ts")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TcpOptions {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: &[u8] = b"\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\x01\0\0\0\x02\x01\x03\x03\x07";

    #[test]
    fn options_are_told_in_their_order() {
        let options = TcpOptions::read(LINUX).expect("they are whole");
        assert_eq!(options.to_string(), "mss,sok,ts,nop,ws");
        assert_eq!(TcpOptions::of(&[2, 4, 8, 1, 3]), Some(options));
        let ended = TcpOptions::read(b"\x01\x0e\x03\0\0\0xx").expect("they are whole");
        assert_eq!(ended.to_string(), "nop,14,eol");
    }

    #[test]
    fn broken_strange_many_and_no_options_are_not_told() {
        for options in [
            &b""[..],
            b"\x02",
            b"\x02\x04\x05",
            b"\x1e\x02",
            &[TcpOptions::FILL; 9],
        ] {
            assert_eq!(TcpOptions::read(options), None, "{options:?}");
        }
        for len in 0..LINUX.len() {
            let cut = TcpOptions::read(&LINUX[..len]);
            assert_ne!(cut, TcpOptions::read(LINUX), "{len}");
        }
    }
}
