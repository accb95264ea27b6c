//! Live capture, for real: the loopback device, the built program, packets sent while it watches.
//!
//! Runs wherever this process may capture. Where it may not, it says so and passes, except in CI,
//! which must be able to.

mod common;

use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};

use common::floods::{ANSWER, QUERY};
use common::live::{Ended, begin, end, loopback, may_capture, row_of, signal};
#[cfg(target_os = "linux")]
use common::live::{HANGUP, asking_for_the_end, contains, status_of_threads};

/// Starts a watch of the loopback device.
fn watch(arguments: &[&str]) -> Child {
    let mut command = common::wiretag();
    command.args(["watch", "--immediate", "-i", loopback()]);
    begin(command.args(["--format", "ndjson"]).args(arguments))
}

/// A question and its answer over UDP on this machine.
fn ask(server: &UdpSocket) {
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let at = server.local_addr().expect("it is bound");
    client.send_to(QUERY, at).expect("loopback");
    let mut buffer = [0; 512];
    let (_, from) = server.recv_from(&mut buffer).expect("loopback");
    server.send_to(ANSWER, from).expect("loopback");
    client.recv_from(&mut buffer).expect("loopback");
}

#[test]
fn packets_on_a_device_become_labelled_rows() {
    if !may_capture() {
        return;
    }
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = server.local_addr().expect("it is bound").port();
    // A question and its answer: two packets, then the count ends the watch.
    let child = watch(&["-c", "2", &format!("udp port {port}")]);
    ask(&server);
    let Ended {
        rows, words, code, ..
    } = end(child);
    assert_eq!(code, Some(0), "{words}");
    let row = row_of(&rows, port);
    assert_eq!(row["application"], "DNS");
    assert_eq!(row["device"], loopback());
    assert_eq!(row["packets_to_server"], 1);
    assert_eq!(row["packets_to_client"], 1);
    assert!(row["response_us"].is_u64());
    assert!(words.contains(r#""captured":2"#), "{words}");
}

#[test]
fn an_interrupt_ends_a_watch_with_everything_reported() {
    if !may_capture() {
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let at = listener.local_addr().expect("it is bound");
    let child = watch(&[&format!("tcp port {}", at.port())]);
    let client = TcpStream::connect(at).expect("loopback");
    let (server, _) = listener.accept().expect("loopback");
    drop(client);
    drop(server);
    signal(&child, "INT");
    let Ended {
        rows, words, code, ..
    } = end(child);
    assert_eq!(code, Some(0), "{words}");
    let row = row_of(&rows, at.port());
    assert_eq!(row["protocol"], "tcp");
    assert_eq!(row["client"], "127.0.0.1");
    assert!(row["handshake_us"].is_u64());
    assert!(row["packets_to_server"].as_u64() >= Some(3), "{row}");
}

#[test]
fn a_watch_ends_after_its_time_even_where_nothing_comes() {
    if !may_capture() {
        return;
    }
    let Ended {
        rows, words, code, ..
    } = end(watch(&["--duration", "1s", "ip proto 253"]));
    assert_eq!((rows.len(), code), (0, Some(0)), "{words}");
}

#[cfg(target_os = "linux")]
#[test]
fn every_signal_that_asks_for_the_end_ends_a_watch_with_everything_reported() {
    if !may_capture() {
        return;
    }
    for name in asking_for_the_end() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = server.local_addr().expect("it is bound").port();
        let child = watch(&[&format!("udp port {port}")]);
        ask(&server);
        signal(&child, name);
        let Ended {
            rows, words, code, ..
        } = end(child);
        assert_eq!(code, Some(0), "{name}: {words}");
        assert_eq!(row_of(&rows, port)["packets_to_client"], 1, "{name}");
        assert!(
            words.contains(r#""captured":2,"labelled":2"#),
            "{name}: {words}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_watch_that_was_started_with_nohup_does_not_heed_a_hangup() {
    if !may_capture() {
        return;
    }
    let program = env!("CARGO_BIN_EXE_wiretag");
    let watch = ["watch", "-i", loopback(), "--format", "ndjson"];
    let words = [&[program], &watch[..], &["ip proto 253"]].concat();
    let child = begin(Command::new("nohup").args(words).stdin(Stdio::null()));
    signal(&child, "HUP");
    // It has come, to the process or to one of its threads, and nobody will see it.
    let pending = status_of_threads(&child, "ShdPnd");
    assert!(pending.len() > 1, "{pending:?}");
    let is_pending = |mask: &String| contains(mask, HANGUP);
    assert!(pending.iter().all(is_pending), "{pending:?}");
    signal(&child, "INT");
    let Ended { words, code, .. } = end(child);
    assert_eq!(code, Some(0), "{words}");
}

#[test]
fn a_reader_that_goes_away_ends_a_watch() {
    if !may_capture() {
        return;
    }
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = server.local_addr().expect("it is bound").port();
    let mut child = watch(&["-c", "2", &format!("udp port {port}")]);
    drop(child.stdout.take());
    child.stdout = Some(
        Command::new("true")
            .stdout(Stdio::piped())
            .spawn()
            .expect("true is there")
            .stdout
            .take()
            .expect("it is piped"),
    );
    ask(&server);
    let Ended {
        rows, words, code, ..
    } = end(child);
    assert_eq!((rows.len(), code), (0, Some(0)), "{words}");
    assert!(words.contains(r#""captured":2"#), "{words}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_so_is_what_was_captured() {
    if !may_capture() {
        return;
    }
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = server.local_addr().expect("it is bound").port();
    let child = watch(&["-o", "/dev/full", "-c", "2", &format!("udp port {port}")]);
    ask(&server);
    let Ended { words, code, .. } = end(child);
    assert_eq!(code, Some(3), "{words}");
    assert!(words.contains("the output could not be written"), "{words}");
    assert!(words.contains(r#""captured":2"#), "{words}");
}

#[cfg(target_os = "linux")]
#[test]
fn privileges_are_given_up_by_every_thread_and_kept_only_on_request() {
    if !may_capture() {
        return;
    }
    let none = "0000000000000000";
    let child = watch(&["ip proto 253"]);
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        let sets = status_of_threads(&child, set);
        assert!(
            sets.len() > 1 && sets.iter().all(|held| held == none),
            "{set}: {sets:?}"
        );
    }
    assert!(
        status_of_threads(&child, "NoNewPrivs")
            .iter()
            .all(|set| set == "1")
    );
    let users = status_of_threads(&child, "Uid");
    assert!(
        !users
            .iter()
            .any(|ids| ids.split_whitespace().any(|id| id == "0")),
        "{users:?}"
    );
    signal(&child, "INT");
    let Ended { words, code, .. } = end(child);
    assert_eq!(code, Some(0), "{words}");

    let child = watch(&["--no-sandbox", "ip proto 253"]);
    let held = status_of_threads(&child, "CapEff");
    assert!(held.iter().any(|set| set != none), "{held:?}");
    signal(&child, "INT");
    end(child);
}
