//! TOML tables, read strictly: every value through a question for its key and type, every answer
//! with its line, every fault noted and reading goes on. The only file that knows the TOML crate.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalog::fault::{Fault, FaultKind, Place};
use crate::model::protocol::Vocabulary;

/// A value and the line that gives it.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// One file being read, and what is wrong with it so far.
pub(super) struct Reader<'w> {
    file: Arc<str>,
    /// What the program looks for, where names of that are to be checked.
    words: Option<&'w Vocabulary>,
    /// Where each line after the first begins.
    line_starts: Vec<usize>,
    pub faults: Vec<Fault>,
}

/// One table of the file.
pub(super) struct Table<'t> {
    /// As it is written: `[[service]]`.
    head: &'static str,
    pub place: Place,
    entries: &'t DeTable<'t>,
}

impl<'w> Reader<'w> {
    pub fn new(file: &str, text: &str, words: Option<&'w Vocabulary>) -> Reader<'w> {
        let line_starts = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Reader {
            file: file.into(),
            words,
            line_starts,
            faults: Vec::new(),
        }
    }

    /// Parses the file's text. What is not TOML is a fault, and what can be saved is still read.
    pub fn parse<'t>(&mut self, text: &'t str) -> Spanned<DeTable<'t>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let kind = FaultKind::Syntax(error.message().to_owned());
            self.fault(error.span().unwrap_or_default(), kind);
        }
        root
    }

    /// The table of the whole file. Keys that are not `known` are faults, as in [`Reader::open`].
    pub fn root<'t>(
        &mut self,
        root: &'t Spanned<DeTable<'t>>,
        known: &'static [&'static str],
    ) -> Table<'t> {
        self.enter("the file", root.span(), root.get_ref(), known)
    }

    /// The value as a table, with the keys that are not `known` noted as faults.
    pub fn open<'t>(
        &mut self,
        head: &'static str,
        value: &'t Spanned<DeValue<'t>>,
        known: &'static [&'static str],
    ) -> Option<Table<'t>> {
        match value.get_ref() {
            DeValue::Table(entries) => Some(self.enter(head, value.span(), entries, known)),
            other => {
                self.wrong_type(value.span(), head, other, "a table");
                None
            }
        }
    }

    fn enter<'t>(
        &mut self,
        head: &'static str,
        span: Range<usize>,
        entries: &'t DeTable<'t>,
        known: &'static [&'static str],
    ) -> Table<'t> {
        for (key, _) in entries.iter() {
            if !known.contains(&key.get_ref().as_ref()) {
                let kind = FaultKind::UnknownKey {
                    key: key.get_ref().to_string(),
                    known,
                };
                self.fault(key.span(), kind);
            }
        }
        let place = self.place(span);
        Table {
            head,
            place,
            entries,
        }
    }

    /// Notes a word that is none of those that the program looks for.
    pub fn must_be_known(
        &mut self,
        word: &Placed<String>,
        what: &'static str,
        of: impl Fn(&Vocabulary) -> &[&'static str],
    ) {
        let Some(known) = self.words.map(of) else {
            return;
        };
        if !known.contains(&word.value.as_str()) {
            let (name, known) = (word.value.clone(), known.to_vec());
            let kind = FaultKind::UnknownWord { what, name, known };
            self.fault_at(word.place.clone(), kind);
        }
    }

    /// The tables under `key`, each checked against `known`; none if the key is absent.
    pub fn tables<'t>(
        &mut self,
        table: &Table<'t>,
        key: &str,
        head: &'static str,
        known: &'static [&'static str],
    ) -> Vec<Table<'t>> {
        let Some(value) = table.entries.get(key) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(items) => (items.iter())
                .filter_map(|item| self.open(head, item, known))
                .collect(),
            other => {
                let wanted = "an array of tables, each under a double-bracketed head";
                self.wrong_type(value.span(), key, other, wanted);
                Vec::new()
            }
        }
    }

    /// The text under `key`, if the key is there: not empty, without control characters.
    pub fn text(&mut self, table: &Table, key: &str) -> Option<Placed<String>> {
        let value = table.entries.get(key)?;
        self.as_text(key, value)
    }

    /// The text under `key`, which must be there.
    pub fn required_text(&mut self, table: &Table, key: &'static str) -> Option<Placed<String>> {
        self.must_have(table, key);
        self.text(table, key)
    }

    /// The texts under `key`; none if the key is absent.
    pub fn texts(&mut self, table: &Table, key: &str) -> Vec<Placed<String>> {
        let Some(value) = table.entries.get(key) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(items) => (items.iter())
                .filter_map(|item| self.as_text(key, item))
                .collect(),
            other => {
                self.wrong_type(value.span(), key, other, "an array of strings");
                Vec::new()
            }
        }
    }

    /// Whether `key` is true; absent is false.
    pub fn flag(&mut self, table: &Table, key: &str) -> bool {
        match table.entries.get(key).map(|v| (v.span(), v.get_ref())) {
            None => false,
            Some((_, DeValue::Boolean(yes))) => *yes,
            Some((span, other)) => {
                self.wrong_type(span, key, other, "true or false");
                false
            }
        }
    }

    /// The whole number under `key`, if the key is there, between the `bounds`, both included.
    pub fn number(
        &mut self,
        table: &Table,
        key: &str,
        bounds: (i64, i64),
        wanted: &'static str,
    ) -> Option<i64> {
        let value = table.entries.get(key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value.span(), key, value.get_ref(), wanted);
            return None;
        };
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if (bounds.0..=bounds.1).contains(&number) => Some(number),
            _ => {
                let kind = FaultKind::OutOfRange {
                    key: key.to_owned(),
                    found: integer.to_string(),
                    wanted,
                };
                self.fault(value.span(), kind);
                None
            }
        }
    }

    /// The whole numbers under `key` that fit 16 bits, or none if anything else is there.
    pub fn numbers(&mut self, table: &Table, key: &str) -> Option<Vec<u16>> {
        let items = table.entries.get(key)?.get_ref().as_array()?;
        (items.iter())
            .map(|item| {
                let integer = item.get_ref().as_integer()?;
                u16::from_str_radix(integer.as_str(), integer.radix()).ok()
            })
            .collect()
    }

    /// Notes a fault if `key` is not there.
    pub fn must_have(&mut self, table: &Table, key: &'static str) {
        if !table.has(key) {
            let head = table.head;
            let kind = FaultKind::MissingKey { key, table: head };
            self.fault_at(table.place.clone(), kind);
        }
    }

    pub fn fault_at(&mut self, place: Place, kind: FaultKind) {
        self.faults.push(Fault { place, kind });
    }

    fn as_text(&mut self, key: &str, value: &Spanned<DeValue>) -> Option<Placed<String>> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(value.span(), key, value.get_ref(), "a string");
            return None;
        };
        if text.trim().is_empty() {
            self.fault(value.span(), FaultKind::Empty(key.to_owned()));
        }
        if text.chars().any(is_control) {
            self.fault(value.span(), FaultKind::ControlCharacter(key.to_owned()));
        }
        Some(Placed {
            value: text.to_string(),
            place: self.place(value.span()),
        })
    }

    fn wrong_type(&mut self, span: Range<usize>, key: &str, found: &DeValue, wanted: &'static str) {
        let kind = FaultKind::WrongType {
            key: key.to_owned(),
            found: found.type_str(),
            wanted,
        };
        self.fault(span, kind);
    }

    fn fault(&mut self, span: Range<usize>, kind: FaultKind) {
        let place = self.place(span);
        self.fault_at(place, kind);
    }

    fn place(&self, span: Range<usize>) -> Place {
        let line = 1 + self
            .line_starts
            .partition_point(|start| *start <= span.start);
        Place {
            file: self.file.clone(),
            line,
        }
    }
}

impl Table<'_> {
    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The line of the key's value, or of the table where the key is absent.
    pub fn place_of(&self, reader: &Reader, key: &str) -> Place {
        match self.entries.get(key) {
            Some(value) => reader.place(value.span()),
            None => self.place.clone(),
        }
    }

    /// Whether the key's value is a string.
    pub fn is_text(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|v| v.get_ref().is_str())
    }
}

/// Control characters, and those that turn the direction of the text around them.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
