//! The program as its users meet it: arguments, output, messages, exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What the columns of a flow are, in order, as the README lists them.
const COLUMNS: &str = "start,end,duration,protocol,client,client_port,server,server_port,\
packets_to_server,packets_to_client,bytes_to_server,bytes_to_client,state,handshake_us,\
response_us,service,service_name,application,basis,services,candidates,evidence,spi,gre_key,\
vlan,tunnel,device,community_id,flow_id,first_frame,capture";

fn wiretag(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program starts")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wiretag"));
    command.args(arguments);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn stdout(arguments: &[&str]) -> String {
    let output = wiretag(arguments);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    text(&output.stdout)
}

fn lines_of_json(arguments: &[&str]) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).expect(line);
    stdout(arguments).lines().map(parse).collect()
}

/// A capture that the project recorded: an endpoint mapper's answers and what they led to.
fn recorded() -> &'static str {
    "pcaps/rpc_mapped_ports.pcapng"
}

/// A folder of its own for one test.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// The recorded capture without its last bytes.
fn cut(folder: &Path) -> PathBuf {
    let whole = fs::read(recorded()).expect("the capture");
    let path = folder.join("cut.pcapng");
    fs::write(&path, &whole[..whole.len() - 9]).expect("written");
    path
}

#[test]
fn every_command_has_help_that_fits_a_hundred_columns() {
    let commands: [&[&str]; 12] = [
        &[],
        &["label"],
        &["watch"],
        &["devices"],
        &["catalog"],
        &["catalog", "services"],
        &["catalog", "service"],
        &["catalog", "port"],
        &["catalog", "protocol"],
        &["catalog", "interface"],
        &["catalog", "check"],
        &["help"],
    ];
    for command in commands {
        let help = match command {
            ["help"] => stdout(&["help", "label"]),
            _ => stdout(&[command, &["--help"]].concat()),
        };
        assert!(help.contains("Usage:"), "{command:?}");
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{command:?}: {line}");
        }
    }
}

#[test]
fn what_is_mistyped_ends_with_2_and_says_what_would_be_right() {
    let cases: [(&[&str], &str); 8] = [
        (&["label"], "<CAPTURE>"),
        (&["label", "--bye", "service", "x"], "--by"),
        (&["label", "--by", "port", "x"], "endpoint"),
        (&["label", "--workers", "0", "x"], "--workers"),
        (&["label", "--internal", "10/8", "x"], "--internal"),
        (
            &["label", recorded(), "--", "tcp", "prt", "1"],
            "capture filter",
        ),
        (&["watch"], "--device"),
        (&["catalog", "port", "135/sctp"], "135/tcp"),
    ];
    for (arguments, expected) in cases {
        let output = wiretag(arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(expected), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_capture_that_is_not_there_ends_with_3_and_is_named() {
    let output = wiretag(&["label", "no/such.pcap"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("no/such.pcap"));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_damaged_capture_ends_with_1_and_what_was_read_is_reported() {
    let folder = folder();
    let path = cut(folder.path());
    let output = wiretag(&["label", "--format", "ndjson", shown(&path)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cut.pcapng: at byte"));
    assert!(!output.stdout.is_empty());
}

#[test]
fn a_device_that_is_not_there_ends_with_3() {
    let output = wiretag(&["watch", "-i", "wiretag-none"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("wiretag-none"));
}

#[test]
fn rows_for_programs_are_flows_with_every_column() {
    let rows = lines_of_json(&["label", "--format", "ndjson", recorded()]);
    assert!(!rows.is_empty());
    for row in &rows {
        let row = row.as_object().expect("an object");
        for name in COLUMNS.split(',') {
            assert!(row.contains_key(name), "{name}");
        }
        assert_eq!(row.len(), COLUMNS.split(',').count());
    }
    assert!(rows.iter().any(|row| row["service"].is_string()));
    assert!(rows.iter().any(|row| row["vlan"].is_null()));
}

#[test]
fn csv_has_the_same_columns_and_as_many_rows() {
    let csv = stdout(&["label", "--format", "csv", recorded()]);
    assert_eq!(csv.lines().next(), Some(COLUMNS));
    let rows = csv::Reader::from_reader(csv.as_bytes())
        .into_records()
        .count();
    let json = lines_of_json(&["label", "--format", "ndjson", recorded()]);
    assert_eq!(rows, json.len());
}

#[test]
fn every_kind_of_row_comes_in_every_format() {
    for by in ["service", "flow", "host", "endpoint"] {
        let table = stdout(&["label", "--by", by, recorded()]);
        let csv = stdout(&["label", "--by", by, "--format", "csv", recorded()]);
        let json = lines_of_json(&["label", "--by", by, "--format", "ndjson", recorded()]);
        assert!(table.lines().count() > 1, "{by}");
        assert_eq!(csv.lines().count(), 1 + json.len(), "{by}");
        let row = json.first().expect(by).as_object().expect("an object");
        let heads = csv.lines().next().expect("a header");
        assert_eq!(heads.split(',').count(), row.len(), "{by}");
    }
}

#[test]
fn tables_fit_the_columns_that_there_are() {
    for (by, width) in [
        ("service", 80),
        ("host", 80),
        ("endpoint", 80),
        ("service", 120),
    ] {
        let mut label = command(&["label", "--by", by, recorded()]);
        let output = label
            .env("COLUMNS", width.to_string())
            .output()
            .expect("it starts");
        for line in text(&output.stdout).lines() {
            assert!(line.chars().count() <= width, "{by} {width}: {line}");
        }
    }
}

#[test]
fn colour_is_there_only_where_it_is_wanted() {
    let has_colour = |arguments: &[&str]| stdout(arguments).contains('\u{1b}');
    assert!(!has_colour(&["label", recorded()]));
    assert!(!has_colour(&["label", "--color", "never", recorded()]));
    assert!(has_colour(&["label", "--color", "always", recorded()]));
    let mut forced = command(&["label", "--color", "never", recorded()]);
    let output = forced
        .env("CLICOLOR_FORCE", "1")
        .output()
        .expect("it starts");
    assert!(!text(&output.stdout).contains('\u{1b}'));
}

#[test]
fn the_filter_may_stand_where_each_habit_puts_it() {
    let rows = |arguments: &[&str]| stdout(&[&["label", "--format", "ndjson"], arguments].concat());
    let last = rows(&[recorded(), "--", "tcp", "port", "135"]);
    assert!(!last.is_empty());
    assert_eq!(rows(&[recorded(), "--filter", "tcp port 135"]), last);
    assert_eq!(rows(&["-r", recorded(), "tcp", "port", "135"]), last);
    assert_eq!(rows(&["-n", "-r", recorded(), "--", "tcp port 135"]), last);
    assert!(last.len() < rows(&[recorded()]).len());
}

#[test]
fn two_filters_are_one_too_many() {
    let both = wiretag(&["label", "-r", recorded(), "--filter", "tcp", "port", "135"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn an_output_file_has_the_format_of_its_name() {
    let folder = folder();
    for (name, first) in [
        ("a.ndjson", "{\"start\""),
        ("a.csv", "start,end"),
        ("a.txt", "service "),
    ] {
        let path = folder.path().join(name);
        assert_eq!(stdout(&["label", recorded(), "-o", shown(&path)]), "");
        let written = fs::read_to_string(&path).expect(name);
        assert!(written.starts_with(first), "{name}: {written:.60}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 3);
}

#[test]
fn an_output_file_is_what_standard_output_would_have_been() {
    let folder = folder();
    let path = folder.path().join("rows.csv");
    fs::write(&path, "an older file, and a longer one").expect("written");
    stdout(&["label", "--by", "host", recorded(), "-o", shown(&path)]);
    let expected = stdout(&["label", "--by", "host", "--format", "csv", recorded()]);
    assert_eq!(fs::read_to_string(&path).expect("the rows"), expected);
}

#[test]
fn without_anything_to_say_an_older_output_file_stays() {
    let folder = folder();
    let path = folder.path().join("rows.ndjson");
    fs::write(&path, "older").expect("written");
    let output = wiretag(&["label", "no/such.pcap", "-o", shown(&path)]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(fs::read_to_string(&path).expect("the rows"), "older");
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
}

#[test]
fn an_output_that_cannot_be_made_is_named() {
    let output = wiretag(&["label", recorded(), "-o", "no/such/folder/rows.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no/such/folder/rows.csv"));
}

#[test]
#[cfg(unix)]
fn a_device_file_is_written_to_and_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    stdout(&["label", recorded(), "-o", "/dev/null"]);
    let kind = fs::metadata("/dev/null").expect("it is there").file_type();
    assert!(kind.is_char_device());
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut label = command(&["label", "--format", "ndjson", recorded()]);
    let mut child =
        (label.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()).expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );
}

#[test]
fn names_cannot_reach_the_terminal_as_commands() {
    let folder = folder();
    let path = folder.path().join("a\u{1b}[31m\u{202e}b.pcapng");
    fs::copy(recorded(), &path).expect("copied");
    for arguments in [
        &["label", "--by", "flow", shown(&path)][..],
        &["label", "--format", "ndjson", shown(&path)],
        &["label", "--format", "csv", shown(&path)],
        &["label", "no/\u{1b}[31m\u{202e}such.pcap"],
        &["catalog", "service", "\u{1b}[31m\u{202e}"],
        &["catalog", "check", "no/\u{1b}[31m\u{202e}such.toml"],
    ] {
        let output = wiretag(arguments);
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(
            !all.contains(['\u{1b}', '\u{202e}']),
            "{arguments:?}: {all}"
        );
    }
}

#[test]
fn the_counters_add_up() {
    let filtered = [
        "label",
        recorded(),
        "--stats",
        "--format",
        "ndjson",
        "--",
        "tcp",
    ];
    let output = wiretag(&filtered);
    let line: Value = serde_json::from_slice(&output.stderr).expect("one line of JSON");
    let count = |name: &str| line["stats"][name].as_u64().expect(name);
    let undecoded = line["stats"]["undecoded"].as_object().expect("an object");
    let undecoded: u64 = undecoded.values().filter_map(Value::as_u64).sum();
    assert!(count("captured") > 0 && count("filtered") > 0);
    assert_eq!(
        count("captured"),
        count("labelled") + undecoded + count("filtered")
    );
    let times = line["stats"]["times"].as_array().expect("a list");
    assert!(times.iter().any(|one| one["response_us"]["p99"].is_u64()));
}

#[test]
fn the_counters_as_text_fit_eighty_columns() {
    let output = wiretag(&["label", recorded(), "--stats"]);
    let told = text(&output.stderr);
    assert!(told.contains("packets captured"));
    assert!(
        told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );
}

#[test]
fn catalog_services_are_the_articles_62() {
    let rows = lines_of_json(&["catalog", "services", "--format", "ndjson"]);
    assert_eq!(rows.len(), 62);
    let keys: Vec<_> = rows[0].as_object().expect("an object").keys().collect();
    assert_eq!(keys.len(), 4);
    for row in &rows {
        for name in ["service", "service_name", "source"] {
            assert!(row[name].is_string(), "{row}");
        }
        for port in row["ports"].as_array().expect("a list") {
            assert!(
                port["application"].is_string() && port["quirk"].is_boolean(),
                "{port}"
            );
            let protocol = port["protocol"].as_str().expect("text");
            assert!(["tcp", "udp", "ip"].contains(&protocol), "{port}");
            assert!(port["port"].is_u64() || port["port"] == "dynamic", "{port}");
        }
    }
    let all = lines_of_json(&["catalog", "services", "--all", "--format", "ndjson"]);
    assert!(all.len() > rows.len());
}

#[test]
fn catalog_answers_in_text_and_in_json() {
    let questions: [&[&str]; 6] = [
        &["services"],
        &["service", "print spooler"],
        &["port", "135"],
        &["port", "138/udp"],
        &["protocol", "47"],
        &["interface", "12345778-1234-abcd-ef00-0123456789ac"],
    ];
    for question in questions {
        let plain = stdout(&[&["catalog"], question].concat());
        assert!(
            !plain.is_empty() && !plain.contains('\u{1b}'),
            "{question:?}"
        );
        assert!(
            plain.lines().all(|line| line.chars().count() <= 100),
            "{question:?}"
        );
        let rows = lines_of_json(&[&["catalog", "--format", "ndjson"], question].concat());
        assert!(
            rows.iter().all(Value::is_object) && !rows.is_empty(),
            "{question:?}"
        );
    }
}

#[test]
fn catalog_finds_a_service_by_a_misprinted_name() {
    let rows = lines_of_json(&["catalog", "service", "SSDPRSR", "--format", "ndjson"]);
    assert_eq!(rows[0]["service"], "SSDPSRV");
}

#[test]
fn catalog_names_the_listener_of_a_shared_port_first() {
    let rows = lines_of_json(&["catalog", "port", "445/tcp", "--format", "ndjson"]);
    assert_eq!(
        (&rows[0]["service"], &rows[0]["listener"]),
        (&"lanmanserver".into(), &true.into())
    );
    assert!(rows.len() > 1 && rows[1..].iter().all(|row| row["listener"] == false));
}

#[test]
fn a_port_row_that_counts_only_where_it_is_spoken_is_shown_so() {
    let said = stdout(&["catalog", "port", "49443"]);
    assert!(
        said.contains("adfssrv") && said.contains("where the payload shows it"),
        "{said}"
    );
    assert!(!stdout(&["catalog", "port", "445"]).contains("where the payload shows it"));
}

#[test]
fn what_the_catalog_does_not_know_ends_with_3() {
    let questions: [&[&str]; 4] = [
        &["service", "nosuch"],
        &["port", "4/udp"],
        &["protocol", "99"],
        &["interface", "00000000-1111-2222-3333-444444444444"],
    ];
    for question in questions {
        let output = wiretag(&[&["catalog"], question].concat());
        assert_eq!(output.status.code(), Some(3), "{question:?}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{question:?}"
        );
    }
}

#[test]
fn a_catalog_file_is_checked_with_every_fault_by_line() {
    let folder = folder();
    let path = folder.path().join("mine.toml");
    fs::write(&path, "[[service]]\nid = \"Mine\"\nnmae = \"x\"\n").expect("written");
    for arguments in [
        &["catalog", "check", shown(&path)][..],
        &["label", "--catalog", shown(&path), recorded()],
        &["catalog", "services", "--catalog", shown(&path)],
    ] {
        let output = wiretag(arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("mine.toml:3: "), "{told}");
        assert!(
            told.lines().all(|line| line.starts_with("wiretag: ")),
            "{told}"
        );
    }
}
