//! Network namespaces of our own for tests, with a pair of devices.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::live::{PATIENCE, may_capture};
use super::wire::frames;
use nix::sched::{CloneFlags, setns};

/// A network namespace of our own with the pair of devices `near` and `far`, on which nobody
/// speaks by himself; gone with it.
pub struct Namespace(String);

/// What makes the pair.
const PAIR: &[&str] = &[
    "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
    "ip link add near mtu 9000 type veth peer name far mtu 9000",
    "ip link set near arp off up",
    "ip link set far arp off up",
];

/// Namespaces of this process so far.
static MADE: AtomicUsize = AtomicUsize::new(0);

impl Namespace {
    /// None where this process may not make one, or not capture. In CI it has to.
    pub fn new() -> Option<Namespace> {
        if !may_capture() {
            return None;
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("wiretag-{}-{number}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).status();
        if !made.is_ok_and(|status| status.success()) {
            let is_ci = std::env::var_os("CI").is_some();
            assert!(!is_ci, "CI may make no network namespace");
            eprintln!("not run: this process may make no network namespace");
            return None;
        }
        let namespace = Namespace(name);
        PAIR.iter().for_each(|words| namespace.run(words));
        Some(namespace)
    }

    /// A command inside: words, or what a shell is to be told.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).args(words);
        command
    }

    /// Runs these words inside, which have to succeed.
    pub fn run(&self, words: &str) {
        let split: Vec<_> = words.split(' ').collect();
        let status = self.command(&split).status().expect("ip is there");
        assert!(status.success(), "{words}");
    }

    /// A watch of `near`, whose rows are NDJSON.
    pub fn watch(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_wiretag");
        let words = [program, "watch", "-i", "near", "--format", "ndjson"];
        self.command(&[&words, arguments].concat())
    }

    /// Sends the frames of a pcap file on `near`; says how many.
    pub fn send(&self, capture: &[u8]) -> u64 {
        thread::scope(|scope| {
            let sender = scope.spawn(|| {
                // Of this thread alone.
                let there = File::open(format!("/run/netns/{}", self.0)).expect("it is there");
                setns(there, CloneFlags::CLONE_NEWNET).expect("it is ours");
                send_here(capture)
            });
            sender.join().expect("it is sent")
        })
    }
}

fn send_here(capture: &[u8]) -> u64 {
    let device = pcap::Capture::from_device("near").expect("it is there");
    let mut device = device.open().expect("it is up");
    let begun = Instant::now();
    let mut sent = 0;
    for frame in frames(capture) {
        while device.sendpacket(frame).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the device takes nothing");
        }
        sent += 1;
    }
    sent
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}
