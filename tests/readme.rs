//! The README says what the code does: its tables are read and compared.

use wiretag::report::column::Column;
use wiretag::report::record::{EVIDENCE, FLOW, REACHED};

const README: &str = include_str!("../README.md");

/// The rows of the first table under a heading, as cells without their back quotes.
fn table_under(heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = (README.split_once(heading)).unwrap_or_else(|| panic!("no heading {heading}"));
    (rest.lines())
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect()
}

/// A list of columns as the README should show it.
fn expected<R>(columns: &[Column<R>]) -> Vec<Vec<String>> {
    let row = |column: &Column<R>| vec![column.name.to_owned(), column.about.to_owned()];
    columns.iter().map(row).collect()
}

/// The table to put into the README, for whoever has to mend it.
fn markdown(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| format!("| `{}` | {} |\n", row[0], row[1]);
    rows.iter().map(line).collect()
}

#[test]
fn the_columns_of_a_flow_are_those_of_the_readme() {
    let expected = expected(FLOW);
    assert!(
        table_under("\n### Columns\n") == expected,
        "the table should be:\n{}",
        markdown(&expected)
    );
}

#[test]
fn the_columns_of_an_entry_of_services_are_those_of_the_readme() {
    let expected = expected(REACHED);
    assert!(
        table_under("\nEntries of `services`:\n") == expected,
        "the table should be:\n{}",
        markdown(&expected)
    );
}

#[test]
fn the_columns_of_an_entry_of_evidence_are_those_of_the_readme() {
    let expected = expected(EVIDENCE);
    assert!(
        table_under("\nEntries of `evidence`:\n") == expected,
        "the table should be:\n{}",
        markdown(&expected)
    );
}

#[test]
fn the_first_command_of_the_readme_labels_a_capture_that_is_there() {
    let command = "sh .ci/setup && cargo run --release -- label pcaps/office.pcapng";
    assert!(README.contains(command));
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/pcaps/office.pcapng");
    assert!(std::path::Path::new(capture).is_file());
}

/// What the program prints, line by line.
fn printed(command: &str) -> Vec<String> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wiretag"))
        .args(command.split(' '))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("COLUMNS")
        .output()
        .expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// What the README shows that it prints.
fn shown(command: &str) -> Vec<String> {
    let command = format!("$ wiretag {command}\n");
    let (_, shown) = README.split_once(&command).expect("the README shows it");
    let shown = shown.lines().take_while(|line| *line != "```");
    shown.map(str::to_owned).collect()
}

#[test]
fn the_flows_of_the_readme_are_among_those_that_the_program_prints() {
    let command = "label --by flow pcaps/office.pcapng";
    let printed = printed(command);
    for line in shown(command) {
        assert!(printed.contains(&line), "not printed: {line}");
    }
}

#[test]
fn the_table_of_the_readme_is_what_the_program_prints() {
    let command = "label pcaps/office.pcapng";
    let (shown, printed) = (shown(command), printed(command));
    assert!(
        shown == printed,
        "the table should be:\n{}",
        printed.join("\n")
    );
}
