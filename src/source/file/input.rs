//! The bytes of one file, decompressed where it is compressed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::source::block::Filling;
use crate::source::error::{Compression, Fault};

/// Compressed bytes read at once: as much as a pipe holds.
const COMPRESSED_BYTES: usize = 64 * 1024;

/// The window that zstd itself accepts without being asked (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`):
/// 128 MiB. `zstd --long=31` makes larger ones.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// Twice what files made with `xz -9` need.
const MAX_XZ_MEMORY: u64 = 128 * 1024 * 1024;

/// The longest of the magics that tell compressions apart.
const MAGIC_BYTES: u64 = 6;

/// The compression that a file with these first bytes has, if any.
fn compression_of(first: &[u8]) -> Option<Compression> {
    match first {
        // RFC 1952 2.3.1
        [0x1f, 0x8b, ..] => Some(Compression::Gzip),
        // RFC 8878 3.1.1, and 3.1.2: pzstd begins with a skippable frame.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Some(Compression::Zstandard)
        }
        // xz-file-format 2.1.1.1
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some(Compression::Xz),
        _ => None,
    }
}

/// Whether to wait for more bytes than are needed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Fill the block: a file.
    Fill,
    /// Go on with what has come: somebody may be capturing into the pipe right now.
    Prompt,
}

/// The bytes of a file or of standard input, in order.
pub(crate) struct Input {
    source: Box<dyn Read + Send>,
    patience: Patience,
    compression: Option<Compression>,
    taken: Arc<AtomicU64>,
    /// Why no more bytes come; an end without an error is `Some(None)`.
    ended: Option<Option<io::Error>>,
}

impl Input {
    /// Opens a file.
    pub(crate) fn file(path: &Path) -> Result<Input, Fault> {
        let file = File::open(path).map_err(|error| Fault::of_io(&error))?;
        let regular = file.metadata().is_ok_and(|about| about.is_file());
        let patience = match regular {
            true => Patience::Fill,
            false => Patience::Prompt,
        };
        Input::new(Box::new(file), patience)
    }

    /// Reads from anything that gives bytes.
    pub(crate) fn new(source: Box<dyn Read + Send>, patience: Patience) -> Result<Input, Fault> {
        let taken = Arc::new(AtomicU64::new(0));
        let mut source = Counted {
            source,
            taken: Arc::clone(&taken),
        };
        let mut first = Vec::new();
        (&mut source)
            .take(MAGIC_BYTES)
            .read_to_end(&mut first)
            .map_err(|error| Fault::of_io(&error))?;
        let compression = compression_of(&first);
        let whole = io::Cursor::new(first).chain(source);
        let source: Box<dyn Read + Send> = match compression {
            None => Box::new(whole),
            Some(compression) => {
                decompressor(compression, whole).map_err(|error| Fault::Decompressor {
                    compression,
                    message: error.to_string(),
                })?
            }
        };
        Ok(Input {
            source,
            patience,
            compression,
            taken,
            ended: None,
        })
    }

    /// How the file is compressed, if it is.
    pub(crate) fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// How many bytes of the file itself were read, compressed as they are.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Reads until `filling` holds at least `needed` bytes; says whether it does.
    ///
    /// Bytes before an error are kept: the error is [`Input::failure`] once they are used up.
    pub(crate) fn fill(&mut self, filling: &mut Filling, needed: usize) -> bool {
        while self.ended.is_none() && !filling.is_full() {
            if self.patience == Patience::Prompt && filling.len() >= needed {
                break;
            }
            match filling.read_once(&mut self.source) {
                Ok(0) => self.ended = Some(None),
                Ok(_) => {}
                Err(error) => self.ended = Some(Some(error)),
            }
        }
        filling.len() >= needed
    }

    /// Why the source ended before its end, if it did.
    pub(crate) fn failure(&self) -> Option<Fault> {
        let error = self.ended.as_ref()?.as_ref()?;
        Some(match self.compression {
            Some(compression) => Fault::Decompressor {
                compression,
                message: error.to_string(),
            },
            None => Fault::of_io(error),
        })
    }
}

fn decompressor(
    compression: Compression,
    whole: impl Read + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    let whole = BufReader::with_capacity(COMPRESSED_BYTES, whole);
    Ok(match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstandard => {
            let mut decoder = zstd::Decoder::with_buffer(whole)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(MAX_XZ_MEMORY, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(whole, stream))
        }
    })
}

/// Counts what is read.
struct Counted<R> {
    source: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(room)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
