//! Rows as CSV (RFC 4180): a header, then a row a line, quoted where needed, empty where there is
//! no value.
//!
//! A cell holds one text, so lists are cut down to what a reader of a spreadsheet looks for, their
//! entries joined by `;`: services and candidates to their ids (services that the catalog does not
//! know to their interfaces), interfaces to `uuid vX.Y (name)`,
//! evidence to `kind value (name) frame N`. Whoever needs the whole takes NDJSON.
//!
//! Text is escaped as on a terminal. A spreadsheet takes a cell that begins with `=`, `+`, `-` or
//! `@` for a formula, and where the comma is the decimal sign it cuts cells at `;`: an apostrophe
//! stands in front of what would be one then (OWASP, CSV Injection). Only names that others gave
//! begin so.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::attribute::label::{Ground, Reached};
use crate::catalog::ServiceId;
use crate::model::uuid::Interface;
use crate::report::column::{Column, Context, Value};
use crate::report::escape::escape;
use crate::report::plain;

/// A row that fits is written in one piece; a longer one in several.
const BUFFER: usize = 1024;

/// Writes the names of the columns.
///
/// # Errors
///
/// What `out` says.
pub fn header<R>(out: &mut impl Write, columns: &[Column<R>]) -> io::Result<()> {
    record(out, columns.iter().map(|column| column.name.into()))
}

/// Writes one row and its line end.
///
/// # Errors
///
/// What `out` says.
pub fn row<R>(
    out: &mut impl Write,
    context: Context,
    columns: &[Column<R>],
    row: &R,
) -> io::Result<()> {
    let cells = columns
        .iter()
        .map(|column| cell(context, (column.of)(context, row)));
    record(out, cells)
}

fn record<'a>(out: &mut impl Write, cells: impl Iterator<Item = Cow<'a, str>>) -> io::Result<()> {
    // Into a row of its own first: a CSV writer that ends flushes whatever it writes to.
    let mut row = Vec::with_capacity(BUFFER);
    let mut writer = csv::WriterBuilder::new()
        .buffer_capacity(BUFFER)
        .from_writer(&mut row);
    for cell in cells {
        writer.write_field(cell.as_bytes())?;
    }
    writer.write_record(None::<&[u8]>)?;
    writer.flush()?;
    drop(writer);
    out.write_all(&row)
}

/// A value as one text, as CSV and tables show it. Safe to look at.
pub fn cell<'a>(context: Context<'a>, value: Value<'a>) -> Cow<'a, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::Number(number) => number.to_string().into(),
        Value::Time(moment) => text(|line| plain::time(line, moment)),
        Value::Seconds(span) => text(|line| plain::seconds(line, span)),
        Value::Address(address) => address.to_string().into(),
        Value::Uuid(uuid) => text(|line| plain::uuid(line, uuid)),
        Value::Version(major, minor) => text(|line| plain::version(line, major, minor)),
        Value::CommunityId(id) => text(|line| plain::community_id(line, id)),
        Value::Text(text) | Value::Wire(text) => guarded(text),
        Value::Made(text) => guarded(&text).into_owned().into(),
        Value::Wires(texts) => joined(texts, |text| guarded(text).into_owned()),
        Value::Interfaces(all) => joined(all, |one| interface(context, *one)),
        Value::Services(all) => joined(all, |one: &ServiceId| context.service_id(*one).to_owned()),
        Value::Reached(all) => joined(all, |one| match one.service {
            Some(id) => context.service_id(id).to_owned(),
            None => nameless(context, one),
        }),
        Value::Evidence(all) => joined(all, |one| ground(context, one)),
    }
}

/// What no service is known for, by what was seen of it.
fn nameless(context: Context, reached: &Reached) -> String {
    match reached.interfaces.is_empty() {
        false => joined(&reached.interfaces, |one| interface(context, *one)).into_owned(),
        true => joined(&reached.pipes, |pipe: &String| guarded(pipe).into_owned()).into_owned(),
    }
}

fn text(add: impl Fn(&mut Vec<u8>)) -> Cow<'static, str> {
    let mut line = Vec::new();
    add(&mut line);
    String::from_utf8(line).expect("digits are text").into()
}

fn joined<T>(all: &[T], one: impl Fn(&T) -> String) -> Cow<'static, str> {
    all.iter().map(one).collect::<Vec<_>>().join(";").into()
}

/// How formulas begin, in full width too.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Text that is safe to look at, and no formula where lists or spreadsheets are cut.
fn guarded(text: &str) -> Cow<'_, str> {
    // Quotes at the beginning of a cell are not of its text.
    let is_formula =
        |part: &str| part.len() > 1 && part.trim_start_matches('"').starts_with(FORMULA);
    if !text.split(';').any(is_formula) {
        return escape(text);
    }
    let guard = |part: &str| match is_formula(part) {
        true => format!("'{}", escape(part)),
        false => escape(part).into_owned(),
    };
    text.split(';')
        .map(guard)
        .collect::<Vec<_>>()
        .join(";")
        .into()
}

/// An interface for a reader: `uuid vX.Y (name)`.
pub fn interface(context: Context, interface: Interface) -> String {
    match context.interface_name(interface) {
        Some(name) => format!("{interface} ({name})"),
        None => interface.to_string(),
    }
}

fn ground(context: Context, ground: &Ground) -> String {
    let mut line = format!("{} {}", ground.kind.name(), ground.value);
    if let Some(name) = &ground.name {
        line += &format!(" ({name})");
    }
    if let Some(frame) = ground.frame {
        line += &format!(" frame {}", frame.number);
    }
    if let Some(capture) = context.other_capture(ground.frame) {
        line += &format!(" of {capture}");
    }
    guarded(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::label::EvidenceKind;
    use crate::attribute::label::LabelledFlow;
    use crate::dissect::text::BANNER;
    use crate::report::record::FLOW;
    use crate::report::sample::{SAMR, captures, catalog, smb_session, unknown};

    fn read_back(flow: &LabelledFlow) -> Vec<(String, String)> {
        let (catalog, captures, mut out) = (catalog(), captures(), Vec::new());
        let context = Context::new(&catalog, &captures).within(flow.flow.first_frame.capture);
        header(&mut out, FLOW).expect("a vector takes all");
        row(&mut out, context, FLOW, flow).expect("a vector takes all");
        let mut reader = csv::Reader::from_reader(&out[..]);
        let names = reader.headers().expect("a header").clone();
        let cells = reader
            .records()
            .next()
            .expect("a row")
            .expect("well formed");
        (names.iter().zip(&cells))
            .map(|(name, cell)| (name.to_owned(), cell.to_owned()))
            .collect()
    }

    fn cell_of(flow: &LabelledFlow, name: &str) -> String {
        let row = read_back(flow);
        row.into_iter()
            .find(|(column, _)| column == name)
            .expect(name)
            .1
    }

    #[test]
    fn a_row_has_a_cell_for_every_column() {
        let names: Vec<_> = read_back(&unknown(2, 445))
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            FLOW.iter().map(|column| column.name).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_is_not_known_is_empty() {
        assert_eq!(cell_of(&unknown(2, 445), "service"), "");
        assert_eq!(cell_of(&unknown(2, 445), "services"), "");
    }

    #[test]
    fn lists_are_joined_in_one_cell() {
        let flow = smb_session(&catalog(), 2);
        assert_eq!(cell_of(&flow, "services"), "lanmanserver;Spooler");
        assert_eq!(
            cell_of(&flow, "evidence"),
            format!("rpc-interface {SAMR} (samr) frame 16")
        );
    }

    #[test]
    fn an_interface_without_a_service_stands_for_itself() {
        let mut flow = smb_session(&catalog(), 2);
        flow.label.services[1].service = None;
        assert!(cell_of(&flow, "services").starts_with("lanmanserver;12345778-"));
    }

    #[test]
    fn quotes_commas_and_line_ends_stay_in_their_cell() {
        let mut flow = smb_session(&catalog(), 2);
        flow.label.application = Some("a,\"b\"\nc".to_owned());
        assert_eq!(cell_of(&flow, "application"), r#"a,"b"\u{a}c"#);
    }

    #[test]
    fn text_from_the_wire_is_no_formula() {
        for text in ["=1+1", "+1", "-1", "@a"] {
            assert_eq!(guarded(text), format!("'{text}"));
        }
        for (text, shown) in [
            ("a;=1", "a;'=1"),
            ("a;\"\"=1", "a;'\"\"=1"),
            ("＝1", "'＝1"),
            ("a=1;b", "a=1;b"),
            ("-", "-"),
        ] {
            assert_eq!(guarded(text), shown);
        }
        let mut flow = smb_session(&catalog(), 2);
        flow.label.evidence[0].kind = EvidenceKind::Said(BANNER);
        flow.label.evidence[0].value = "=cmd".to_owned();
        assert!(cell_of(&flow, "evidence").starts_with("banner =cmd"));
    }
}
