//! Mailslot writes (MS-MAIL 2.2.1): an SMB 1 transaction to `\MAILSLOT\name` inside a NetBIOS
//! datagram.

use crate::dissect::read::{Reader, Short};
use crate::model::protocol::Field;

/// The version of the operating system that a host announces (MS-BRWS 2.2.1, 2.2.10): `6.1`.
pub const SYSTEM_VERSION: Field = Field::new(&["browser-version", "announced version"]);

/// What a host announces that it runs (MS-BRWS 2.2.1, 2.2.10; the bits MS-RAP 2.5.5.2).
pub const RUNS: Field = Field::new(&["browser-server-type", "announced as"]);

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

/// Where the browser's announcements are written to, and the two opcodes of those in which a host
/// speaks of itself: not of its domain (MS-BRWS 2.2.1, 2.2.10).
const ANNOUNCEMENTS: (&str, [u8; 2]) = ("browse", [1, 15]);

/// Where a host of LAN Manager 1 announces itself, and the opcode of that; Samba's nmbd announces
/// itself so, too, to those who ask (its `nmbd_sendannounce.c`).
const OLD_ANNOUNCEMENTS: (&str, u16) = ("lanman", 1);

/// The end of an announcement's fixed part (MS-BRWS 2.2.1).
const ANNOUNCEMENT_SIGNATURE: u16 = 0xaa55;

/// What the bits of a server type stand for, from the lowest on that says something (MS-RAP
/// 2.5.5.2). Those of the browser's own roles change by the minute and are left out.
const SERVER_TYPES: &[(u32, &str)] = &[
    (0x0000_0004, "SQL Server"),
    (0x0000_0008, "primary domain controller"),
    (0x0000_0010, "backup domain controller"),
    (0x0000_0020, "time source"),
    (0x0000_0040, "AFP server"),
    (0x0000_0080, "Novell server"),
    (0x0000_0100, "domain member"),
    (0x0000_0200, "print server"),
    (0x0000_0400, "dial-in server"),
    (0x0000_0800, "Xenix or Unix server"),
    (0x0000_1000, "NT workstation"),
    (0x0000_2000, "Windows for Workgroups"),
    (0x0000_8000, "NT server"),
    (0x0040_0000, "Windows 95"),
    (0x0080_0000, "DFS server"),
    (0x0100_0000, "cluster"),
    (0x0200_0000, "terminal server"),
];

/// What a host announces of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Major and minor version of its operating system.
    pub version: String,
    /// What it runs, in words.
    pub runs: String,
}

/// A write to a mailslot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The mailslot: lower case, without `\MAILSLOT\`.
    pub mailslot: String,
    /// Whether it answers an earlier write by the other side.
    pub answers: bool,
    /// What the sender announces of itself, if it does.
    pub announcement: Option<Announcement>,
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
    let announcement = if mailslot == ANNOUNCEMENTS.0 {
        announcement(payload, data_at)
    } else if mailslot == OLD_ANNOUNCEMENTS.0 {
        old_announcement(payload, data_at)
    } else {
        Ok(None)
    };
    // One that is cut off says nothing.
    let announcement = announcement.ok().flatten();
    Ok(Some(Write {
        mailslot,
        answers,
        announcement,
    }))
}

/// What a host announces of itself in data at this place; `None` if they are something else.
fn announcement(payload: &[u8], at: u16) -> Result<Option<Announcement>, Short> {
    let mut r = Reader::little(payload);
    r.skip(at.into())?;
    if !ANNOUNCEMENTS.1.contains(&r.u8()?) {
        return Ok(None);
    }
    r.skip(1 + 4 + 16)?; // update count, periodicity, name
    let (major, minor, kind) = (r.u8()?, r.u8()?, r.u32()?);
    r.skip(2)?; // version of the browser
    if r.u16()? != ANNOUNCEMENT_SIGNATURE {
        return Ok(None);
    }
    Ok(Some(Announcement::of(major, minor, kind)))
}

/// The same of LAN Manager 1: an opcode, the types, the version, how often, then the name and a
/// comment, each up to its NUL.
fn old_announcement(payload: &[u8], at: u16) -> Result<Option<Announcement>, Short> {
    /// Bytes of a NetBIOS name without its suffix.
    const MAX_HOST: usize = 15;
    let mut r = Reader::little(payload);
    r.skip(at.into())?;
    if r.u16()? != OLD_ANNOUNCEMENTS.1 {
        return Ok(None);
    }
    let (kind, major, minor) = (r.u32()?, r.u8()?, r.u8()?);
    r.skip(2)?; // periodicity
    let (name, _comment) = (r.until(0)?, r.until(0)?);
    let is_name = (1..=MAX_HOST).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    Ok(is_name.then(|| Announcement::of(major, minor, kind)))
}

impl Announcement {
    fn of(major: u8, minor: u8, kind: u32) -> Announcement {
        let runs = (SERVER_TYPES.iter()).filter(|(bit, _)| kind & bit != 0);
        Announcement {
            version: format!("{major}.{minor}"),
            runs: runs.map(|(_, name)| *name).collect::<Vec<_>>().join(", "),
        }
    }
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
    fn a_host_that_announces_itself_says_what_it_runs() {
        let announced = |opcode: u8, signature: u8| {
            let mut data = vec![opcode, 0, 0x60, 0xea, 0, 0];
            data.extend(b"PC2\0            ");
            data.extend([6, 1, 0x03, 0x90, 0x80, 0, 15, 1, signature, 0xaa, 0]);
            let payload = write("\\MAILSLOT\\BROWSE", Text::Bytes, &data);
            for len in 0..payload.len() {
                let _ = read(&payload[..len]);
            }
            let write = read(&payload).expect("it is whole").expect("a write");
            write.announcement
        };
        let expected = Announcement {
            version: "6.1".to_owned(),
            runs: "NT workstation, NT server, DFS server".to_owned(),
        };
        assert_eq!(announced(1, 0x55), Some(expected.clone()));
        assert_eq!(announced(15, 0x55), Some(expected));
        assert_eq!(announced(12, 0x55), None, "of a domain");
        assert_eq!(announced(1, 0x54), None);
    }

    #[test]
    fn a_host_of_lan_manager_1_announces_itself_in_another_mailslot() {
        let announced = |path: &str, opcode: u8, name: &[u8]| {
            let head = [opcode, 0, 0x03, 0x9a, 0, 0, 4, 9, 0x3c, 0];
            let payload = write(path, Text::Bytes, &[&head, name].concat());
            let write = read(&payload).expect("it is whole").expect("a write");
            write.announcement
        };
        let expected = Announcement {
            version: "4.9".to_owned(),
            runs: "print server, Xenix or Unix server, NT workstation, NT server".to_owned(),
        };
        let slot = "\\MAILSLOT\\LANMAN";
        assert_eq!(announced(slot, 1, b"FS1\0Files\0"), Some(expected));
        assert_eq!(announced(slot, 2, b"FS1\0Files\0"), None, "it asks for one");
        assert_eq!(announced(slot, 1, b"FS1\0Files"), None, "cut");
        assert_eq!(announced(slot, 1, b"\0\0"), None, "nobody");
        assert_eq!(announced("\\MAILSLOT\\BROWSE", 1, b"FS1\0Files\0"), None);
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
