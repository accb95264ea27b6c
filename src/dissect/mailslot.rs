//! Mailslot writes (MS-MAIL 2.2.1): an SMB 1 transaction to `\MAILSLOT\name` inside a NetBIOS
//! datagram.

use crate::dissect::read::{Reader, Short};

/// Bytes of an SMB header (MS-CIFS 2.2.3.1).
const HEADER_LEN: usize = 32;

/// `SMB_COM_TRANSACTION` (MS-CIFS 2.2.4.33).
const TRANSACTION: u8 = 0x25;

/// The flag of a header whose texts are UTF-16 (MS-CIFS 2.2.3.1).
const UNICODE: u16 = 0x8000;

/// The words of a mailslot write: the transaction's 14 and three of setup (MS-MAIL 2.2.1).
const WORDS: u8 = 17;

/// The setup's operation (MS-CIFS 2.2.5.12).
const WRITE: u16 = 1;

/// The longest name that is kept, in characters: Windows allows 256 with its prefix.
const MAX_NAME: usize = 256;

/// Mailslots that only answers are sent to: a domain controller's to the client that looks for one
/// (MS-ADTS 6.3.5). The first continues with a number that the client chose.
const ANSWER_SLOTS: &[&str] = &["net\\getdc", "temp\\netlogon"];

/// The browser's mailslot, and the answer there with the list of browsers (MS-BRWS 2.2.5).
const BROWSER_ANSWER: (&str, u8) = ("browse", 10);

/// A write to a mailslot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The mailslot: lower case, without `\MAILSLOT\`.
    pub mailslot: String,
    /// Whether it answers an earlier write by the other side.
    pub answers: bool,
}

/// Reads the payload of a NetBIOS datagram; `None` if it is no mailslot write.
///
/// # Errors
/// `Short` if the payload ends before the name does.
pub fn read(payload: &[u8]) -> Result<Option<Write>, Short> {
    let mut r = Reader::little(payload);
    if r.array()? != *b"\xffSMB" || r.u8()? != TRANSACTION {
        return Ok(None);
    }
    r.skip(4 + 1)?; // status, flags
    let flags2 = r.u16()?;
    r.skip(HEADER_LEN - r.position())?;
    if r.u8()? != WORDS {
        return Ok(None);
    }
    // Totals, maxima, flags, timeout, and the place of parameters that there are none of.
    r.skip(24)?;
    let data_at = r.u16()?;
    let (setup_count, _reserved) = (r.u8()?, r.u8()?);
    let operation = r.u16()?;
    r.skip(2 + 2 + 2)?; // priority, class, number of bytes
    if setup_count != 3 || operation != WRITE {
        return Ok(None);
    }
    let path = match flags2 & UNICODE {
        0 => r.until(0)?.iter().copied().map(char::from).collect(),
        _ => utf16(&mut r)?,
    };
    let Some(mailslot) = plain(&path) else {
        return Ok(None);
    };
    let answers = ANSWER_SLOTS.iter().any(|slot| mailslot.starts_with(slot))
        || first_byte(payload, data_at).is_ok_and(|first| (&*mailslot, first) == BROWSER_ANSWER);
    Ok(Some(Write { mailslot, answers }))
}

/// The name in lower case without what leads to it; `None` if the path is not a mailslot's.
fn plain(path: &str) -> Option<String> {
    let path: String = path.to_lowercase().chars().take(MAX_NAME).collect();
    let name = path.strip_prefix("\\mailslot\\")?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// UTF-16 begins at an even place of the message and ends with a NUL.
fn utf16(r: &mut Reader) -> Result<String, Short> {
    r.align(2)?;
    let mut units = Vec::new();
    loop {
        match r.u16()? {
            0 => return Ok(String::from_utf16_lossy(&units)),
            unit => units.push(unit),
        }
    }
}

fn first_byte(payload: &[u8], at: u16) -> Result<u8, Short> {
    let mut r = Reader::little(payload);
    r.skip(at.into())?;
    r.u8()
}

#[cfg(test)]
pub mod samples {
    //! Mailslot writes, for tests.

    use super::*;

    /// How the texts of a message are written.
    #[derive(Clone, Copy)]
    pub enum Text {
        /// A byte a character.
        Bytes,
        /// UTF-16.
        Utf16,
    }

    /// A write of `data` to the mailslot at `path`.
    pub fn write(path: &str, text: Text, data: &[u8]) -> Vec<u8> {
        let (flags2, name) = match text {
            Text::Bytes => (0, [path.as_bytes(), &[0]].concat()),
            Text::Utf16 => {
                let units = path.encode_utf16().chain([0]);
                // After 32 + 1 + 34 + 2 bytes, one of padding.
                let padded = [0].into_iter().chain(units.flat_map(u16::to_le_bytes));
                (UNICODE, padded.collect())
            }
        };
        let mut bytes = b"\xffSMB\x25\0\0\0\0\0".to_vec();
        bytes.extend(flags2.to_le_bytes());
        bytes.resize(HEADER_LEN, 0);
        bytes.push(WORDS);
        bytes.extend([0; 24]);
        let data_at = u16::try_from(69 + name.len()).expect("a short name");
        bytes.extend(data_at.to_le_bytes());
        bytes.extend([3, 0, 1, 0, 1, 0, 2, 0]);
        let count = u16::try_from(name.len() + data.len()).expect("short data");
        bytes.extend(count.to_le_bytes());
        [bytes, name, data.to_vec()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{Text, write};
    use super::*;

    fn name(payload: &[u8]) -> Option<String> {
        read(payload).ok().flatten().map(|write| write.mailslot)
    }

    #[test]
    fn a_write_names_its_mailslot_in_either_text() {
        for text in [Text::Bytes, Text::Utf16] {
            let payload = write("\\MAILSLOT\\NET\\NETLOGON", text, &[18, 0]);
            assert_eq!(name(&payload).as_deref(), Some("net\\netlogon"));
        }
    }

    #[test]
    fn a_transaction_to_a_pipe_and_another_command_are_refused() {
        let pipe = write("\\PIPE\\LANMAN", Text::Bytes, &[]);
        assert_eq!(read(&pipe), Ok(None));
        let mut other = write("\\MAILSLOT\\BROWSE", Text::Bytes, &[]);
        other[4] = 0x72;
        assert_eq!(read(&other), Ok(None));
        let mut operation = write("\\MAILSLOT\\BROWSE", Text::Bytes, &[]);
        operation[61] = 0x26;
        assert_eq!(read(&operation), Ok(None));
        assert_eq!(read(&write("\\MAILSLOT\\", Text::Bytes, &[])), Ok(None));
    }

    #[test]
    fn a_write_cut_before_the_end_of_its_name_names_nothing() {
        for text in [Text::Bytes, Text::Utf16] {
            let payload = write("\\MAILSLOT\\BROWSE", text, &[]);
            for len in 0..payload.len() {
                assert_eq!(read(&payload[..len]), Err(Short), "{len}");
            }
        }
    }

    #[test]
    fn a_name_is_cut_to_its_bound() {
        let long = format!("\\MAILSLOT\\{}", "x".repeat(5000));
        let kept = name(&write(&long, Text::Bytes, &[])).expect("a name");
        assert!(kept.len() < MAX_NAME);
    }

    #[test]
    fn an_answer_is_told_by_its_mailslot_or_the_browsers_opcode() {
        let answers = |path: &str, data: &[u8]| {
            let read = read(&write(path, Text::Bytes, data));
            read.expect("it is whole").expect("a write").answers
        };
        assert!(answers("\\MAILSLOT\\NET\\GETDC817", &[0x13, 0]));
        assert!(answers("\\MAILSLOT\\TEMP\\NETLOGON", &[]));
        assert!(answers("\\MAILSLOT\\BROWSE", &[10]));
        assert!(!answers("\\MAILSLOT\\BROWSE", &[9]));
        assert!(!answers("\\MAILSLOT\\NET\\NETLOGON", &[10]));
    }
}
