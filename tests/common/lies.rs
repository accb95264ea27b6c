//! Liars' captures: what an honest connection is called after somebody said something about it.

use std::io::BufWriter;
use std::net::Ipv4Addr;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::Run;
use super::wire::*;

/// The tape of a test.
pub type File = Tape<BufWriter<std::fs::File>>;

/// Who is honest, and talks with the victim.
pub const CLIENT: Peer = (Ipv4Addr::new(10, 0, 0, 7), 50_000);
pub const VICTIM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub const LIAR: Ipv4Addr = Ipv4Addr::new(10, 6, 6, 6);

/// Where something of the victim listens of which only the liar speaks.
pub const PORT: u16 = 49_160;

/// The row of the honest connection to the victim's port in a capture that `lie` begins.
pub fn honest(lie: impl FnOnce(&mut File)) -> Json {
    let capture = |tape: &mut File| {
        lie(tape);
        silent_talk(tape, CLIENT, (VICTIM, PORT));
    };
    row_of(CLIENT, (VICTIM, PORT), capture)
}

/// The row of a flow of a capture, whose counts add up.
pub fn row_of(client: Peer, server: Peer, capture: impl FnOnce(&mut File)) -> Json {
    find(&run(capture), client, server)
}

/// What comes of a capture, whose counts add up.
pub fn run(capture: impl FnOnce(&mut File)) -> Run {
    let folder = TempDir::new().expect("there is room");
    let path = folder.path().join("lie.pcap");
    let file = std::fs::File::create(&path).expect("there is room");
    let mut tape = Tape::new(BufWriter::new(file));
    capture(&mut tape);
    tape.flush();
    let run = super::label([&path]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.adds_up();
    run
}

/// The row of a flow.
pub fn find(run: &Run, client: Peer, server: Peer) -> Json {
    let rows = run.rows();
    let is = |row: &Json, side: &str, peer: Peer| {
        row[side] == *peer.0.to_string() && row[format!("{side}_port")] == peer.1
    };
    let mut found = rows
        .iter()
        .filter(|row| is(row, "client", client) && is(row, "server", server));
    found.next().expect("the honest flow").clone()
}

/// The lie names nothing.
pub fn assert_not_believed(lie: impl FnOnce(&mut File)) -> Json {
    let row = honest(lie);
    assert_eq!(row["service"], Json::Null, "{row:#}");
    assert_eq!(row["basis"], "none", "{row:#}");
    row
}
