//! Where the rows go: standard output, or a file that is there whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anstream::AutoStream;
use anstream::stream::{AsLockedWrite, RawStream};
use tempfile::TempPath;

use crate::cli::Failure;
use crate::report::sink::Width;

/// Bytes that are gathered before they are written: large enough for millions of rows to cost no
/// more system calls than their bytes.
const BUFFER: usize = 256 * 1024;

/// An output that has been opened, and may have to be put in its place at the end.
pub struct Output {
    unplaced: Unplaced,
    width: Option<u16>,
}

/// A file that is not in its place yet, shared with what may end the program before it is.
#[derive(Clone, Default)]
pub struct Unplaced(Arc<Mutex<Option<(TempPath, PathBuf)>>>);

impl Unplaced {
    /// Removes what was written so far, and has nothing be put in its place any more: whoever is about
    /// to waits for as long as what this gives is kept.
    pub fn give_up(&self) -> impl Drop + '_ {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *place = None;
        place
    }

    fn place(&self) -> Result<(), Failure> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match place.take() {
            None => Ok(()),
            Some((temporary, path)) => {
                (temporary.persist(&path)).map_err(|error| error.error.into())
            }
        }
    }
}

/// Who reads what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// People: colour, where it is wanted.
    People,
    /// Programs: bytes as they are. Looking through them for colour would cost as much as making
    /// them.
    Programs,
}

impl Output {
    /// Opens the file of this name, or standard output without a name or for `-`.
    pub fn open(
        name: Option<&Path>,
        readers: Readers,
    ) -> Result<(Output, Box<dyn Write + Send>), Failure> {
        match name.filter(|name| !is_stdout(name)) {
            None => Ok(Output::standard(readers)),
            Some(path) => Output::file(path, readers).map_err(|error| {
                Failure::Usage(format!("{}: cannot be written: {error}", path.display()))
            }),
        }
    }

    /// Standard output.
    pub fn standard(readers: Readers) -> (Output, Box<dyn Write + Send>) {
        let output = Output {
            unplaced: Unplaced::default(),
            width: width(io::stdout().is_terminal()),
        };
        (output, buffered(io::stdout(), readers))
    }

    fn file(path: &Path, readers: Readers) -> io::Result<(Output, Box<dyn Write + Send>)> {
        // Through a link, so that what it points at is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_special = fs::metadata(&path).is_ok_and(|there| !there.is_file());
        let (file, place) = match is_special {
            // A device or a pipe is written to: a file in its place would not be what was meant.
            true => (OpenOptions::new().write(true).open(&path)?, None),
            false => {
                let (file, temporary) = beside(&path)?;
                (file, Some((temporary, path)))
            }
        };
        let output = Output {
            unplaced: Unplaced(Arc::new(Mutex::new(place))),
            width: width(false),
        };
        Ok((output, buffered(file, readers)))
    }

    /// How wide a table may be.
    pub fn width(&self) -> Width {
        self.width
    }

    /// What is written to until it is put in its place.
    pub fn unplaced(&self) -> Unplaced {
        self.unplaced.clone()
    }

    /// Puts a file in its place at once: what is written to it later can be seen as it comes, and
    /// nothing more has to be allowed than to write.
    pub fn place_now(&self) -> Result<(), Failure> {
        self.unplaced.place()
    }

    /// Puts a file in its place, once all has been written and flushed.
    pub fn finish(self) -> Result<(), Failure> {
        self.unplaced.place()
    }
}

impl Drop for Output {
    /// What was not put in its place goes away.
    fn drop(&mut self) {
        self.unplaced.give_up();
    }
}

fn buffered<W>(out: W, readers: Readers) -> Box<dyn Write + Send>
where
    W: RawStream + AsLockedWrite + Send + 'static,
{
    match readers {
        Readers::Programs => Box::new(BufWriter::with_capacity(BUFFER, out)),
        Readers::People => {
            let choice = AutoStream::choice(&out);
            let stream = AutoStream::new(out, choice);
            Box::new(BufWriter::with_capacity(BUFFER, stream))
        }
    }
}

/// Whether this name stands for standard output.
pub fn is_stdout(name: &Path) -> bool {
    name == Path::new("-")
}

/// A new file in the folder of `path`, so that it can be renamed to it. It goes away again unless
/// it is.
fn beside(path: &Path) -> io::Result<(File, TempPath)> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let mut builder = tempfile::Builder::new();
    builder.prefix(path.file_name().unwrap_or(OsStr::new("rows")));
    builder.suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: what the umask leaves of it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    Ok(file.into_parts())
}

/// The terminal's width, or what COLUMNS says of whatever else there is.
fn width(is_terminal: bool) -> Option<u16> {
    let told = std::env::var("COLUMNS").ok();
    let told = told.and_then(|columns| columns.parse().ok());
    told.or_else(|| match is_terminal {
        true => comfy_table::Table::new().width(),
        false => None,
    })
}
