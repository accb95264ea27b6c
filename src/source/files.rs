//! Many files and folders as one stream in time order.
//!
//! A file is opened when the stream reaches its first record, so captures that follow one another
//! are open one at a time, and only those that overlap are open together. Records of one file
//! keep the file's order, even where their times jump back; between files the earlier next record
//! goes first, and on equal times the file that was named first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::packet::{CaptureId, Record};
use crate::model::time::Timestamp;
use crate::source::block::{MAX_RECORDS, Pool, Records};
use crate::source::error::{Compression, Fault, SourceError, shown};
use crate::source::file::input::{Input, Patience};
use crate::source::file::{FaultAt, FileReader};
use crate::source::filter::Filter;

/// The name of standard input.
const STANDARD_INPUT: &str = "-";

/// Files that are open at once. Some systems allow a process 256 (macOS, by default); each has
/// a block of its own. When more captures than this overlap in time, the rest comes late.
const MAX_OPEN: usize = 200;

/// What is read of a file to learn its first time.
const PEEK_BYTES: usize = 64 * 1024;

/// A capture file of this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The number that its frames bear: its place in [`Files::captures`].
    pub id: CaptureId,
    /// As the user wrote it, or as it was found in a folder; `-` is standard input.
    pub path: PathBuf,
    /// How it is compressed, if it is.
    pub compression: Option<Compression>,
    /// Frames read so far, counted as tshark counts `frame.number`; filtered ones included.
    pub frames: u64,
}

impl Capture {
    /// The path as text. It may hold anything that a file's name can: escape it before it is shown.
    pub fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

/// Something about the files that the user may want to know and that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A file in a folder is no capture and was passed over.
    PassedOver(PathBuf),
    /// A file was named or found a second time and is read once.
    SeenBefore(PathBuf),
    /// This many captures overlapped in time beyond what can be open at once; their records came
    /// later than their time.
    OutOfOrder(usize),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::PassedOver(path) => write!(
                f,
                "{}: no capture, passed over",
                shown(&path.to_string_lossy())
            ),
            Note::SeenBefore(path) => write!(
                f,
                "{}: given twice, read once",
                shown(&path.to_string_lossy())
            ),
            Note::OutOfOrder(count) => write!(
                f,
                "more than {MAX_OPEN} captures overlap in time; {count} were read late, out of \
                 time order"
            ),
        }
    }
}

/// How far the reading is, in bytes of the files as they lie on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub read: u64,
    /// Bytes of all files; `None` where that is unknown (standard input, a pipe).
    pub total: Option<u64>,
}

/// Capture files being read as one stream.
pub struct Files {
    pool: Pool,
    filter: Option<Filter>,
    sources: Vec<Source>,
    captures: Vec<Capture>,
    /// Who is next: the time of each source's next record, where that is known.
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Sources whose time has come while too many were open.
    late: VecDeque<usize>,
    came_late: usize,
    open: usize,
    max_open: usize,
    /// Counts the units handed out, so that a source knows whether its block is in this one.
    unit: u64,
    errors: Vec<SourceError>,
    notes: Vec<Note>,
    finished_bytes: u64,
    total_bytes: Option<u64>,
}

/// One capture file, by how far it is. Its place in the list is its number.
enum Source {
    /// To be opened when its first time comes.
    Waiting,
    Open(Box<Open>),
    Done,
}

struct Open {
    reader: FileReader,
    chunk: Records,
    /// The next record of the chunk.
    at: usize,
    /// In which unit the chunk's block already is, and where.
    placed: Option<(u64, u32)>,
}

impl Open {
    fn new(reader: FileReader, chunk: Records) -> Box<Open> {
        Box::new(Open {
            reader,
            chunk,
            at: 0,
            placed: None,
        })
    }

    fn rest(&self) -> &[Record] {
        self.chunk.records.get(self.at..).unwrap_or_default()
    }
}

impl Files {
    /// Finds the capture files among `paths` (files, folders with all below them, `-`) and learns
    /// when each begins. What cannot be read is in [`Files::errors`]; the rest goes on.
    ///
    /// With a filter, [`Files::next`] gives only records that it keeps.
    pub fn open(paths: &[PathBuf], filter: Option<Filter>) -> Files {
        Files::open_at_most(MAX_OPEN, paths, filter)
    }

    fn open_at_most(max_open: usize, paths: &[PathBuf], filter: Option<Filter>) -> Files {
        let mut files = Files {
            pool: Pool::default(),
            filter,
            sources: Vec::new(),
            captures: Vec::new(),
            queue: BinaryHeap::new(),
            late: VecDeque::new(),
            came_late: 0,
            open: 0,
            max_open,
            unit: 0,
            errors: Vec::new(),
            notes: Vec::new(),
            finished_bytes: 0,
            total_bytes: Some(0),
        };
        let found = files.find(paths);
        let alone = found.len() == 1;
        for (path, in_folder) in found {
            files.add(path, in_folder, alone);
        }
        files.number_by_time();
        files
    }

    /// Numbers the captures in the order in which they begin, those of the same time or without
    /// records as they were named: frames of several captures compare as they were captured.
    fn number_by_time(&mut self) {
        let mut begin = vec![Timestamp::MIN; self.sources.len()];
        for Reverse((time, which)) in self.queue.drain() {
            begin[which] = time;
        }
        let mut order: Vec<usize> = (0..begin.len()).collect();
        order.sort_by_key(|which| begin[*which]);
        let mut sources: Vec<_> = self.sources.drain(..).map(Some).collect();
        let mut captures: Vec<_> = self.captures.drain(..).map(Some).collect();
        for (place, which) in order.into_iter().enumerate() {
            let id = CaptureId(place as u32);
            let mut source = sources[which].take().expect("each has one place");
            let mut capture = captures[which].take().expect("each has one place");
            capture.id = id;
            if let Source::Open(open) = &mut source {
                open.reader.renumber(id);
                (open.chunk.records.iter_mut()).for_each(|record| record.frame.capture = id);
            }
            if !matches!(source, Source::Done) {
                self.queue.push(Reverse((begin[which], place)));
            }
            self.sources.push(source);
            self.captures.push(capture);
        }
    }

    /// The next records of the stream, at most [`MAX_RECORDS`] and never none; `None` at its end.
    #[expect(
        clippy::should_implement_trait,
        reason = "the files are asked more than for records"
    )]
    pub fn next(&mut self) -> Option<Records> {
        let mut unit = Records::default();
        self.unit += 1;
        while unit.records.len() < MAX_RECORDS {
            let Some(Reverse((_, which))) = self.queue.pop() else {
                break;
            };
            if !self.ready(which) {
                continue;
            }
            if let Some(whole) = self.take_run(which, &mut unit) {
                return Some(whole);
            }
        }
        (!unit.records.is_empty()).then_some(unit)
    }

    /// The capture files, in the order in which they begin.
    pub fn captures(&self) -> &[Capture] {
        &self.captures
    }

    /// What could not be read, so far.
    pub fn errors(&self) -> &[SourceError] {
        &self.errors
    }

    /// What else is to be said, so far.
    pub fn notes(&self) -> impl Iterator<Item = Note> {
        let late = (self.came_late > 0).then_some(Note::OutOfOrder(self.came_late));
        self.notes.iter().cloned().chain(late)
    }

    /// How far the reading is.
    pub fn progress(&self) -> Progress {
        let open = self.sources.iter().map(|source| match source {
            Source::Open(open) => open.reader.taken(),
            Source::Waiting | Source::Done => 0,
        });
        Progress {
            read: self.finished_bytes + open.sum::<u64>(),
            total: self.total_bytes,
        }
    }

    /// The files to read, each with whether it was found in a folder.
    fn find(&mut self, paths: &[PathBuf]) -> Vec<(PathBuf, bool)> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for path in paths {
            if !path.is_dir() {
                self.note_file(path.clone(), false, &mut seen, &mut found);
                continue;
            }
            let before = found.len();
            let errors = self.errors.len();
            for entry in walkdir::WalkDir::new(path)
                .follow_links(true)
                .sort_by_file_name()
            {
                match entry {
                    Ok(entry) if entry.file_type().is_file() => {
                        self.note_file(entry.into_path(), true, &mut seen, &mut found);
                    }
                    Ok(_) => {}
                    Err(error) => self.walk_error(path, &error),
                }
            }
            if found.len() == before && self.errors.len() == errors {
                self.error(path.clone(), Fault::NothingInside);
            }
        }
        found
    }

    fn note_file(
        &mut self,
        path: PathBuf,
        in_folder: bool,
        seen: &mut HashSet<PathBuf>,
        found: &mut Vec<(PathBuf, bool)>,
    ) {
        // Only a regular file is surely the same when read again.
        let same = fs::canonicalize(&path).ok().filter(|real| real.is_file());
        let is_new = match same {
            Some(real) => seen.insert(real),
            None => true,
        };
        match is_new {
            true => found.push((path, in_folder)),
            false => self.notes.push(Note::SeenBefore(path)),
        }
    }

    fn walk_error(&mut self, folder: &Path, error: &walkdir::Error) {
        let path = error.path().unwrap_or(folder).to_path_buf();
        match error.io_error() {
            Some(io) => self.error(path, Fault::of_io(io)),
            // A link back to a folder above: its files are already in.
            None => self.notes.push(Note::SeenBefore(path)),
        }
    }

    /// Takes in a file whose header and first record can be read, as far as they can.
    fn add(&mut self, path: PathBuf, in_folder: bool, alone: bool) {
        let id = CaptureId(self.captures.len() as u32);
        let size = fs::metadata(&path).ok().filter(|about| about.is_file());
        let stays_open = alone || size.is_none();
        let pool = match stays_open {
            true => self.pool.clone(),
            false => Pool::new(PEEK_BYTES),
        };
        let mut reader = match read(&path, pool, id) {
            Ok(reader) => reader,
            Err(at) if in_folder && is_no_capture(&at.fault) => {
                return self.notes.push(Note::PassedOver(path));
            }
            Err(FaultAt { offset, fault }) => {
                let compression = None;
                return self.errors.push(SourceError {
                    file: path,
                    offset,
                    compression,
                    frames: 0,
                    fault,
                });
            }
        };
        self.total_bytes = match (self.total_bytes, size) {
            (Some(total), Some(about)) => Some(total + about.len()),
            _ => None,
        };
        self.captures.push(Capture {
            id,
            path,
            compression: reader.compression(),
            frames: 0,
        });
        self.sources.push(Source::Waiting);
        let which = self.sources.len() - 1;
        let Some(chunk) = reader.next() else {
            self.open += 1;
            return self.finish(which, &reader);
        };
        if stays_open {
            self.open += 1;
            self.sources[which] = Source::Open(Open::new(reader, chunk));
            self.enqueue(which);
        } else {
            self.queue
                .push(Reverse((time_of_first(&chunk.records), which)));
        }
    }

    /// Makes a source whose time has come ready to give records. If it is not, it has ended, must
    /// wait, or is in the queue again with the time of its next record.
    fn ready(&mut self, which: usize) -> bool {
        match &self.sources[which] {
            Source::Open(open) if !open.rest().is_empty() => true,
            Source::Open(_) => {
                self.load(which);
                false
            }
            Source::Waiting if self.open >= self.max_open => {
                self.late.push_back(which);
                false
            }
            Source::Waiting => {
                self.start(which);
                false
            }
            Source::Done => false,
        }
    }

    fn start(&mut self, which: usize) {
        let Capture { id, path, .. } = &self.captures[which];
        match read(path, self.pool.clone(), *id) {
            Ok(reader) => {
                self.open += 1;
                self.sources[which] = Source::Open(Open::new(reader, Records::default()));
                self.load(which);
            }
            // It could be read a moment ago.
            Err(FaultAt { offset, fault }) => {
                self.sources[which] = Source::Done;
                self.errors.push(SourceError {
                    file: self.captures[which].path.clone(),
                    offset,
                    compression: self.captures[which].compression,
                    frames: 0,
                    fault,
                });
            }
        }
    }

    /// Gets a source's next records and puts it into the queue, or ends it.
    fn load(&mut self, which: usize) {
        let Source::Open(open) = &mut self.sources[which] else {
            return;
        };
        let Some(chunk) = open.reader.next() else {
            let Source::Open(open) = std::mem::replace(&mut self.sources[which], Source::Done)
            else {
                return;
            };
            return self.finish(which, &open.reader);
        };
        (open.chunk, open.at, open.placed) = (chunk, 0, None);
        self.captures[which].frames = open.reader.frames();
        self.enqueue(which);
    }

    /// Filters a source's new chunk and puts the source into the queue. A chunk that loses all its
    /// records keeps the time of its first: when that comes, the next chunk is loaded.
    fn enqueue(&mut self, which: usize) {
        let Source::Open(open) = &self.sources[which] else {
            return;
        };
        let unfiltered = time_of_first(open.rest());
        self.sift(which);
        let Source::Open(open) = &self.sources[which] else {
            return;
        };
        let first = open.rest().first();
        self.queue.push(Reverse((
            first.map_or(unfiltered, |record| record.time),
            which,
        )));
    }

    /// Drops what the filter does not keep.
    fn sift(&mut self, which: usize) {
        let (Some(filter), Source::Open(open)) = (&mut self.filter, &mut self.sources[which])
        else {
            return;
        };
        let Records { blocks, records } = &mut open.chunk;
        let mut refused = Vec::new();
        records.retain(|record| {
            let block = blocks.get(record.bytes.block as usize);
            let bytes = block.map_or(&[][..], |block| block.part(record.bytes));
            filter.keeps(record.link, bytes).unwrap_or_else(|refusal| {
                refused.push((refusal, record.frame.number));
                false
            })
        });
        for (refusal, frame) in refused {
            self.errors.push(SourceError {
                file: self.captures[which].path.clone(),
                offset: None,
                compression: self.captures[which].compression,
                frames: frame - 1,
                fault: refusal,
            });
        }
    }

    /// Moves the records of a source that come before those of all others. If that is a whole
    /// chunk and the unit is empty, the chunk is the unit and comes back.
    fn take_run(&mut self, which: usize, unit: &mut Records) -> Option<Records> {
        let limit = self.queue.peek().map(|Reverse(next)| *next);
        let Source::Open(open) = &mut self.sources[which] else {
            return None;
        };
        let is_first = |record: &Record| limit.is_none_or(|next| (record.time, which) < next);
        let room = MAX_RECORDS - unit.records.len();
        let run = open
            .rest()
            .iter()
            .take(room)
            .take_while(|record| is_first(record))
            .count();
        let whole = unit.records.is_empty() && run == open.chunk.records.len();
        if whole {
            std::mem::swap(unit, &mut open.chunk);
            open.at = 0;
        } else {
            open.give(run, self.unit, unit);
        }
        // Where the chunk is used up, its last time stands for the next one's first.
        let next = open.rest().first().or(unit.records.last());
        let time = next.map_or(Timestamp::MIN, |record| record.time);
        self.queue.push(Reverse((time, which)));
        whole.then(|| std::mem::take(unit))
    }

    fn finish(&mut self, which: usize, reader: &FileReader) {
        self.sources[which] = Source::Done;
        self.open -= 1;
        self.finished_bytes += reader.taken();
        let capture = &mut self.captures[which];
        capture.frames = reader.frames();
        if let Some(FaultAt { offset, fault }) = reader.fault() {
            self.errors.push(SourceError {
                file: capture.path.clone(),
                offset: *offset,
                compression: capture.compression,
                frames: capture.frames,
                fault: fault.clone(),
            });
        }
        if let Some(late) = self.late.pop_front() {
            self.came_late += 1;
            self.start(late);
        }
    }

    fn error(&mut self, file: PathBuf, fault: Fault) {
        self.errors.push(SourceError {
            file,
            offset: None,
            compression: None,
            frames: 0,
            fault,
        });
    }
}

impl Open {
    /// Moves the next `count` records to a unit, with the block that they lie in.
    fn give(&mut self, count: usize, number: u64, unit: &mut Records) {
        let place = match self.placed {
            Some((unit_number, place)) if unit_number == number => place,
            _ => {
                let place = unit.blocks.len() as u32;
                unit.blocks.extend(self.chunk.blocks.iter().map(Arc::clone));
                self.placed = Some((number, place));
                place
            }
        };
        for record in self.rest().iter().take(count) {
            let mut record = *record;
            record.bytes.block = place;
            unit.records.push(record);
        }
        self.at += count;
    }
}

fn read(path: &Path, pool: Pool, id: CaptureId) -> Result<FileReader, FaultAt> {
    let input = match path == Path::new(STANDARD_INPUT) {
        true => Input::new(Box::new(std::io::stdin()), Patience::Prompt),
        false => Input::file(path),
    };
    let input = input.map_err(|fault| FaultAt {
        offset: None,
        fault,
    })?;
    FileReader::open(input, pool, id)
}

fn time_of_first(records: &[Record]) -> Timestamp {
    records.first().map_or(Timestamp::MIN, |record| record.time)
}

fn is_no_capture(fault: &Fault) -> bool {
    matches!(fault, Fault::NotACapture { .. } | Fault::Empty)
}

#[cfg(test)]
mod tests;
