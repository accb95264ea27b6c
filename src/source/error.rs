//! What can be wrong with a source, as fields: which file, where, what, and what helps.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::packet::LinkType;
use crate::source::link;

/// A compression that is recognised by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstandard,
    /// The `.xz` format.
    Xz,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Gzip => "gzip",
            Compression::Zstandard => "zstd",
            Compression::Xz => "xz",
        })
    }
}

/// A file or folder that could not be read, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// Which file or folder, as the user wrote it or as it was found; `-` is standard input.
    pub file: PathBuf,
    /// Where the faulty record or block begins, in bytes from the start of the capture; where
    /// the file is compressed, of the capture inside. `None` if it was not opened.
    pub offset: Option<u64>,
    /// How the file is compressed, if it is.
    pub compression: Option<Compression>,
    /// How many frames before the fault were read, and are used.
    pub frames: u64,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", Shown(&self.file))?;
        if let Some(offset) = self.offset {
            write!(f, "at byte {offset}")?;
            if let Some(compression) = self.compression {
                write!(f, " of the capture inside ({compression})")?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}", self.fault)?;
        match self.frames {
            0 => {}
            1 => f.write_str("; the one frame before is used")?,
            frames => write!(f, "; the {frames} frames before are used")?,
        }
        write!(f, ". {}.", self.fault.remedy())
    }
}

impl std::error::Error for SourceError {}

/// What is wrong with a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such file or folder.
    Missing,
    /// The file or folder may not be read.
    NotPermitted,
    /// The operating system says something else; in its words.
    Unreadable(String),
    /// The folder holds no files.
    NothingInside,
    /// The file has no bytes.
    Empty,
    /// It begins like no capture that is read here.
    NotACapture {
        /// Its first bytes, at most eight.
        first: Vec<u8>,
    },
    /// The format is known, this version of it is not.
    Version {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// As the file says.
        major: u16,
        /// As the file says.
        minor: u16,
    },
    /// The file ends within its own header.
    CutHeader {
        /// The header's length.
        needed: u64,
        /// What is there of it.
        present: u64,
    },
    /// The file ends within a record or block.
    Cut {
        /// How many bytes the record or block needs, as far as it says.
        needed: u64,
        /// How many are there.
        present: u64,
    },
    /// More bytes were captured of a packet, the file says, than anything captures or than its
    /// block holds.
    CapturedLength {
        /// As the file says.
        captured: u32,
        /// What is possible.
        bound: u32,
    },
    /// A block's length is no multiple of four, or too short for what the block must hold.
    BlockLength {
        /// As the file says.
        length: u32,
        /// The least that a block of this type has.
        minimum: u32,
    },
    /// A block's length at its end is not the one at its start.
    Trailer {
        /// At the start.
        length: u32,
        /// At the end.
        trailer: u32,
    },
    /// A section header's byte-order magic is neither order's.
    ByteOrder {
        /// The four bytes, read as big-endian.
        magic: u32,
    },
    /// A packet names an interface that the section has not declared.
    UndeclaredInterface {
        /// The one that it names.
        interface: u32,
        /// How many there are.
        declared: u32,
    },
    /// The section declares more interfaces than are kept.
    TooManyInterfaces {
        /// How many are kept.
        bound: u32,
    },
    /// The decompressor cannot go on; in its words.
    Decompressor {
        /// Which.
        compression: Compression,
        /// What it says.
        message: String,
    },
    /// The capture filter does not compile for this link type; its packets are left out.
    Filter {
        /// As the user wrote it.
        filter: String,
        /// Which link type.
        link: LinkType,
        /// What libpcap says.
        message: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing => f.write_str("there is no such file or folder"),
            Fault::NotPermitted => f.write_str("no permission to read it"),
            Fault::Unreadable(message) => write!(f, "cannot be read: {message}"),
            Fault::NothingInside => f.write_str("the folder holds no files"),
            Fault::Empty => f.write_str("the file is empty"),
            Fault::NotACapture { first } => {
                f.write_str("not a capture file: it begins with")?;
                for byte in first {
                    write!(f, " {byte:02x}")?;
                }
                match Foreign::of(first) {
                    Some(foreign) => write!(f, ", as {} does", foreign.name),
                    None => Ok(()),
                }
            }
            Fault::Version {
                format,
                major,
                minor,
            } => {
                write!(f, "{format} version {major}.{minor} is not known")
            }
            Fault::CutHeader { needed, present } => write!(
                f,
                "the file ends within its header, after {present} of {needed} bytes"
            ),
            Fault::Cut { needed, present } => write!(
                f,
                "the file ends within a record, after {present} of at least {needed} bytes"
            ),
            Fault::CapturedLength { captured, bound } => write!(
                f,
                "a packet is said to have {captured} captured bytes, at most {bound} are possible"
            ),
            Fault::BlockLength { length, minimum } => write!(
                f,
                "a block is said to be {length} bytes long; it must be a multiple of 4 and at \
                 least {minimum}"
            ),
            Fault::Trailer { length, trailer } => write!(
                f,
                "a block is {length} bytes long by its start and {trailer} by its end"
            ),
            Fault::ByteOrder { magic } => write!(
                f,
                "a section header has {magic:08x} where its byte order should stand"
            ),
            Fault::UndeclaredInterface {
                interface,
                declared,
            } => write!(
                f,
                "a packet is from interface {interface}, but the section declares {declared}"
            ),
            Fault::TooManyInterfaces { bound } => {
                write!(f, "a section declares more than {bound} interfaces")
            }
            Fault::Decompressor {
                compression,
                message,
            } => {
                write!(f, "{compression} cannot decompress further: {message}")
            }
            Fault::Filter {
                filter,
                link,
                message,
            } => write!(
                f,
                "the filter \"{}\" does not compile for {} packets, which are left out: {message}",
                filter.escape_debug(),
                link::link_name(*link)
            ),
        }
    }
}

impl Fault {
    /// What the user can do about it: a sentence without its full stop.
    pub fn remedy(&self) -> &'static str {
        match self {
            Fault::Missing | Fault::NothingInside => "Check the name",
            Fault::NotPermitted => "Allow it with chmod or chown, or run as a user who may",
            Fault::Unreadable(_) => "Copy it elsewhere and try again",
            Fault::Empty => "Check that the capture ran and that the copy is complete",
            Fault::NotACapture { first } => match Foreign::of(first) {
                Some(foreign) => foreign.remedy,
                None => "Give a pcap or pcapng file, plain or as .gz, .zst or .xz",
            },
            Fault::Version { .. } => "Save it again with Wireshark or editcap",
            Fault::CutHeader { .. } | Fault::Cut { .. } => {
                "Copy it again if the original is longer; else the capture was broken off"
            }
            Fault::CapturedLength { .. }
            | Fault::BlockLength { .. }
            | Fault::Trailer { .. }
            | Fault::ByteOrder { .. }
            | Fault::UndeclaredInterface { .. } => {
                "The file is damaged from here on: copy it again, or repair it with pcapfix"
            }
            Fault::TooManyInterfaces { .. } => "Save it again with Wireshark or editcap",
            Fault::Decompressor { .. } => {
                "Test the file with the decompressor's own -t; if it passes, decompress it first"
            }
            Fault::Filter { .. } => "Use a filter that suits every link type of the capture",
        }
    }

    /// The fault that an error of the operating system is.
    pub(super) fn of_io(error: &io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::NotFound => Fault::Missing,
            io::ErrorKind::PermissionDenied => Fault::NotPermitted,
            _ => Fault::Unreadable(error.to_string()),
        }
    }
}

/// A format that is not read here but that users have, with the way to one that is.
struct Foreign {
    first: &'static [u8],
    name: &'static str,
    remedy: &'static str,
}

const CONVERT: &str = "Convert it: editcap -F pcapng OLD NEW";
const DECOMPRESS: &str = "Decompress it first";

/// First bytes as Wireshark's wiretap and file(1) know them.
const FOREIGN: &[Foreign] = &[
    Foreign {
        first: b"snoop\0",
        name: "a snoop capture",
        remedy: CONVERT,
    },
    Foreign {
        first: b"GMBU",
        name: "a Network Monitor 2 capture",
        remedy: CONVERT,
    },
    Foreign {
        first: b"RTSS",
        name: "a Network Monitor 1 capture",
        remedy: CONVERT,
    },
    Foreign {
        first: b"TRSNIFF",
        name: "a Sniffer capture",
        remedy: CONVERT,
    },
    Foreign {
        first: b"XCP\0",
        name: "a NetXRay capture",
        remedy: CONVERT,
    },
    Foreign {
        first: b"PK\x03\x04",
        name: "a zip archive",
        remedy: DECOMPRESS,
    },
    Foreign {
        first: b"BZh",
        name: "a bzip2 file",
        remedy: DECOMPRESS,
    },
    Foreign {
        first: b"\x04\x22\x4d\x18",
        name: "an lz4 file",
        remedy: DECOMPRESS,
    },
    Foreign {
        first: b"7z\xbc\xaf",
        name: "a 7z archive",
        remedy: DECOMPRESS,
    },
];

impl Foreign {
    fn of(first: &[u8]) -> Option<&'static Foreign> {
        FOREIGN
            .iter()
            .find(|foreign| first.starts_with(foreign.first))
    }
}

/// A path as it may be shown: control characters of a file's name do not reach a terminal.
pub(super) struct Shown<'a>(pub(super) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.to_string_lossy().chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_file_offset_what_was_used_and_the_remedy() {
        let error = SourceError {
            file: "office.pcap.gz".into(),
            offset: Some(1_048_600),
            compression: Some(Compression::Gzip),
            frames: 12,
            fault: Fault::Cut {
                needed: 16,
                present: 3,
            },
        };
        assert_eq!(
            error.to_string(),
            "office.pcap.gz: at byte 1048600 of the capture inside (gzip): the file ends within \
             a record, after 3 of at least 16 bytes; the 12 frames before are used. Copy it again \
             if the original is longer; else the capture was broken off."
        );
    }

    #[test]
    fn a_file_name_cannot_command_the_terminal() {
        assert_eq!(Shown(Path::new("a\x1b[2Jb")).to_string(), "a\\u{1b}[2Jb");
    }

    #[test]
    fn a_capture_of_another_kind_is_named_with_the_way_to_convert_it() {
        let fault = Fault::NotACapture {
            first: b"snoop\0\0\0".to_vec(),
        };
        assert!(
            fault.to_string().ends_with("as a snoop capture does"),
            "{fault}"
        );
        assert_eq!(fault.remedy(), CONVERT);
    }
}
