//! Live capture, for real: the loopback device, the built program, packets sent while it watches.
//!
//! Runs wherever this process may capture. Where it may not, it says so and passes, except in CI,
//! which must be able to.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A DNS query for `example.com`, and what a server might say: that there is no such name.
const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";
const ANSWER: &[u8] =
    b"\x12\x34\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";

/// How long anything here may take before the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// The device that carries this machine's talk with itself.
fn loopback() -> &'static str {
    if cfg!(target_os = "linux") {
        "lo"
    } else {
        "lo0"
    }
}

fn wiretag() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wiretag"))
}

/// Whether this process may capture here. In CI it has to.
fn may_capture() -> bool {
    let devices = wiretag().arg("devices").output().expect("the program runs");
    let text = String::from_utf8_lossy(&devices.stdout).into_owned();
    let may = (text
        .split_inclusive('\n')
        .skip_while(|line| line.split_whitespace().next() != Some(loopback())))
    .take(3)
    .any(|line| line.contains("can be captured") && !line.contains("cannot"));
    assert!(
        may || std::env::var_os("CI").is_none(),
        "CI may not capture:\n{text}"
    );
    if !may {
        eprintln!("not run: this process may not capture on {}", loopback());
    }
    may
}

/// Starts a watch, and gives it back once its packets are captured: a knock to a port of our own
/// is heard.
fn watch(arguments: &[&str]) -> Child {
    let mut child = wiretag()
        .args([
            "watch",
            "--immediate",
            "-i",
            loopback(),
            "--format",
            "ndjson",
        ])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // The line that says so comes first on stderr.
    let stderr = child.stderr.as_mut().expect("it is piped");
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"\n") && stderr.read(&mut byte).expect("a pipe") == 1 {
        said.push(byte[0]);
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("capturing on"), "it said instead: {said}");
    child
}

/// The rows that a watch printed, its last words on stderr, and its exit code.
fn end(mut child: Child) -> (Vec<Value>, String, Option<i32>) {
    let stdout = child.stdout.take().expect("it is piped");
    let rows = thread::spawn(move || {
        let parse = |line: std::io::Result<String>| {
            serde_json::from_str(&line.expect("a pipe")).expect("each line is one JSON object")
        };
        BufReader::new(stdout)
            .lines()
            .map(parse)
            .collect::<Vec<Value>>()
    });
    let mut stderr = child.stderr.take().expect("it is piped");
    let words = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("it is our child") {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE => {
                child.kill().expect("it is our child");
                panic!("the watch did not end by itself");
            }
            None => thread::yield_now(),
        }
    };
    let rows = rows.join().expect("the reader ends with the pipe");
    let words = words.join().expect("the reader ends with the pipe");
    (rows, words.expect("text"), status.code())
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

fn row_of(rows: &[Value], port: u16) -> &Value {
    (rows.iter().find(|row| row["server_port"] == port))
        .unwrap_or_else(|| panic!("no row for port {port} in {rows:#?}"))
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
    let (rows, words, code) = end(child);
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
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill is there");
    assert!(interrupt.success());
    let (rows, words, code) = end(child);
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
    let (rows, words, code) = end(watch(&["--duration", "1s", "ip proto 253"]));
    assert_eq!((rows.len(), code), (0, Some(0)), "{words}");
}

/// Tells a watch something.
fn signal(child: &Child, name: &str) {
    let told = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(told.expect("kill is there").success());
}

#[test]
fn every_signal_that_asks_for_the_end_ends_a_watch_with_everything_reported() {
    if !may_capture() {
        return;
    }
    for name in ["INT", "TERM", "HUP"] {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = server.local_addr().expect("it is bound").port();
        let child = watch(&[&format!("udp port {port}")]);
        ask(&server);
        signal(&child, name);
        let (rows, words, code) = end(child);
        assert_eq!(code, Some(0), "{name}: {words}");
        assert_eq!(row_of(&rows, port)["packets_to_client"], 1, "{name}");
        assert!(
            words.contains(r#""captured":2,"labelled":2"#),
            "{name}: {words}"
        );
    }
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
    let (rows, words, code) = end(child);
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
    let (_, words, code) = end(child);
    assert_eq!(code, Some(3), "{words}");
    assert!(words.contains("the output could not be written"), "{words}");
    assert!(words.contains(r#""captured":2"#), "{words}");
}

/// The lines of this name in the status of every thread of a process.
#[cfg(target_os = "linux")]
fn of_threads(child: &Child, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("it runs");
    let status = tasks.map(|task| {
        let path = task.expect("it runs").path().join("status");
        std::fs::read_to_string(path).expect("it runs")
    });
    let of = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect("every status has it")
            .trim_start_matches(':')
            .trim()
            .to_owned()
    };
    status.map(of).collect()
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
        let sets = of_threads(&child, set);
        assert!(
            sets.len() > 1 && sets.iter().all(|held| held == none),
            "{set}: {sets:?}"
        );
    }
    assert!(
        of_threads(&child, "NoNewPrivs")
            .iter()
            .all(|set| set == "1")
    );
    let users = of_threads(&child, "Uid");
    assert!(
        !users
            .iter()
            .any(|ids| ids.split_whitespace().any(|id| id == "0")),
        "{users:?}"
    );
    signal(&child, "INT");
    let (_, words, code) = end(child);
    assert_eq!(code, Some(0), "{words}");

    let child = watch(&["--no-sandbox", "ip proto 253"]);
    let held = of_threads(&child, "CapEff");
    assert!(held.iter().any(|set| set != none), "{held:?}");
    signal(&child, "INT");
    end(child);
}

/// A network namespace of our own with a pair of devices; gone with it.
#[cfg(target_os = "linux")]
struct Namespace(String);

#[cfg(target_os = "linux")]
impl Namespace {
    /// None where this process may not make one.
    fn new() -> Option<Namespace> {
        let name = format!("wiretag-{}", std::process::id());
        let made = Command::new("ip")
            .args(["netns", "add", &name])
            .output()
            .ok()?;
        let namespace = made.status.success().then_some(Namespace(name))?;
        for words in [
            "ip link add near type veth peer name far",
            "ip link set near up",
            "ip link set far up",
            "ip addr add 10.99.0.1/24 dev near",
        ] {
            assert!(namespace.run(words), "{words}");
        }
        Some(namespace)
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]);
        command.args(words.split(' '));
        command
    }

    fn run(&self, words: &str) -> bool {
        self.command(words).status().expect("ip is there").success()
    }

    /// Sends a datagram to nobody: what the device loses when it goes down is told again.
    fn send(&self, port: u16) {
        let neighbour = "ip neigh replace 10.99.0.2 lladdr 02:00:00:00:00:09 dev near";
        assert!(self.run(neighbour), "{neighbour}");
        let mut send = self.command("bash -c");
        send.arg(format!("echo hello > /dev/udp/10.99.0.2/{port}"));
        assert!(send.status().expect("bash is there").success());
    }
}

#[cfg(target_os = "linux")]
impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_goes_down_and_comes_back_is_captured_on() {
    if !may_capture() {
        return;
    }
    let Some(namespace) = Namespace::new() else {
        eprintln!("not run: this process may make no network namespace");
        return;
    };
    let program = env!("CARGO_BIN_EXE_wiretag");
    let words = format!("{program} watch --immediate -i near --format ndjson udp");
    let mut child = (namespace.command(&words))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let stderr = child.stderr.as_mut().expect("it is piped");
    let mut byte = [0];
    while stderr.read(&mut byte).expect("a pipe") == 1 && byte != *b"\n" {}
    namespace.send(1001);
    thread::sleep(Duration::from_millis(300));
    assert!(namespace.run("ip link set near down"));
    thread::sleep(Duration::from_millis(300));
    assert!(namespace.run("ip link set near up"));
    namespace.send(1002);
    thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    let (rows, words, code) = end(child);
    assert_eq!(code, Some(0), "{words}");
    for port in [1001, 1002] {
        assert_eq!(row_of(&rows, port)["packets_to_server"], 1);
    }
}
