//! Endpoints that liars name: an answer counts only for the host that was asked, on the connection
//! that asked, for the call that was made. No honest flow is called what a stranger says.

mod common;

use common::lies::{CLIENT, File, LIAR, PORT, VICTIM, assert_not_believed, honest};
use common::wire::*;
use serde_json::Value as Json;

#[test]
fn the_host_that_was_asked_is_believed() {
    let row = honest(|tape| {
        ask_mapper(tape, (CLIENT.0, 40_000), VICTIM, SAMR, &[(VICTIM, PORT)]);
    });
    assert_eq!(row["service"], "LSASS", "{row:#}");
    assert_eq!(row["basis"], "endpoint");
}

#[test]
fn a_host_that_speaks_of_another_is_quoted_and_not_believed() {
    let row = assert_not_believed(|tape| {
        ask_mapper(tape, (CLIENT.0, 40_000), LIAR, SAMR, &[(VICTIM, PORT)]);
    });
    let evidence = row["evidence"].as_array().expect("a list");
    let claim = evidence.iter().find(|e| e["kind"] == "endpoint-claim");
    let value = claim.expect("it is shown")["value"].to_string();
    assert!(value.contains("said by 10.6.6.6"), "{value}");
    assert_eq!(row["candidates"][0]["service"], "LSASS", "{row:#}");
}

/// The victim's other address: what would prove it, a liar could say as well.
const OTHER_ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 9, 0, 2);

#[test]
fn a_server_that_names_another_of_its_addresses_is_believed_of_the_one_that_answered() {
    let at = [(OTHER_ADDRESS, PORT)];
    let row = honest(|tape| ask_mapper(tape, (CLIENT.0, 40_000), VICTIM, SAMR, &at));
    assert_eq!(row["service"], "LSASS", "{row:#}");
    assert_eq!(row["basis"], "endpoint", "{row:#}");
}

#[test]
fn at_the_other_address_of_a_server_its_word_makes_a_candidate_until_a_binding_proves_it() {
    let row = assert_not_believed(|tape| {
        let asked = (CLIENT.0, 40_000);
        ask_mapper(tape, asked, OTHER_ADDRESS, SAMR, &[(VICTIM, PORT)]);
    });
    assert_eq!(row["candidates"][0]["service"], "LSASS", "{row:#}");
    let row = honest(|tape| {
        let asked = (CLIENT.0, 40_000);
        ask_mapper(tape, asked, OTHER_ADDRESS, SAMR, &[(VICTIM, PORT)]);
        let mut bound = Connection::open(tape, (ten(0, 0, 8), 40_001), (VICTIM, PORT));
        bound.ask(tape, &bind(1, SAMR));
        bound.answer(tape, &bind_ack(1));
        bound.ask(tape, &request(2, 5, &[0; 64]));
        bound.answer(tape, &response(2, &[0; 64]));
    });
    assert_eq!(row["service"], "LSASS", "{row:#}");
    assert_eq!(row["basis"], "endpoint", "{row:#}");
}

/// A connection to the victim's endpoint mapper on which the client says everything.
fn forge(tape: &mut File, mut talk: Connection) {
    let answer = response(2, &mapped(&[tower(SAMR, (VICTIM, PORT))]));
    for pdu in [
        bind(1, EPM),
        bind_ack(1),
        request(2, EPT_MAP, &[0; 120]),
        answer,
    ] {
        talk.ask(tape, &pdu);
    }
}

#[test]
fn a_client_that_answers_itself_is_not_believed() {
    assert_not_believed(|tape| {
        let talk = Connection::open(tape, (LIAR, 40_000), (VICTIM, 135));
        forge(tape, talk);
    });
    assert_not_believed(|tape| {
        let talk = Connection::without_handshake((LIAR, 40_000), (VICTIM, 135));
        forge(tape, talk);
    });
}

#[test]
fn a_client_that_begins_as_if_it_were_the_server_is_not_believed() {
    for with_handshake in [true, false] {
        assert_not_believed(|tape| {
            let (client, server) = ((LIAR, 40_000), (VICTIM, 135));
            let mut talk = match with_handshake {
                true => Connection::open(tape, client, server),
                false => Connection::without_handshake(client, server),
            };
            let answer = response(2, &mapped(&[tower(SAMR, (VICTIM, PORT))]));
            talk.ask(tape, &bind_ack(1));
            talk.ask(tape, &answer);
            talk.answer(tape, &bind(1, EPM));
            talk.answer(tape, &request(2, EPT_MAP, &[0; 120]));
            talk.ask(tape, &answer);
        });
    }
}

#[test]
fn an_answer_that_nobody_asked_for_or_to_another_call_is_not_believed() {
    for (asked, answered) in [(None, 2), (Some(2), 3)] {
        assert_not_believed(|tape| {
            let mut talk = Connection::open(tape, (CLIENT.0, 40_000), (VICTIM, 135));
            talk.ask(tape, &bind(1, EPM));
            talk.answer(tape, &bind_ack(1));
            if let Some(call) = asked {
                talk.ask(tape, &request(call, EPT_MAP, &[0; 120]));
            }
            let stub = mapped(&[tower(SAMR, (VICTIM, PORT))]);
            talk.answer(tape, &response(answered, &stub));
        });
    }
}

#[test]
fn an_answer_of_what_is_no_endpoint_mapper_is_not_believed() {
    assert_not_believed(|tape| {
        let mut talk = Connection::open(tape, (LIAR, 40_000), (VICTIM, 8080));
        talk.ask(tape, &bind(1, EPM));
        talk.answer(tape, &bind_ack(1));
        talk.ask(tape, &request(2, EPT_MAP, &[0; 120]));
        talk.answer(tape, &response(2, &mapped(&[tower(SAMR, (VICTIM, PORT))])));
    });
}

#[test]
fn a_client_that_binds_and_calls_without_an_answer_makes_no_endpoint() {
    assert_not_believed(|tape| {
        let mut talk = Connection::open(tape, (LIAR, 40_000), (VICTIM, PORT));
        talk.ask(tape, &bind(1, SAMR));
        talk.ask(tape, &bind_ack(1));
        talk.ask(tape, &request(2, 5, b"in"));
        talk.ask(tape, &request(3, 6, b"in"));
        talk.ask(tape, &response(3, b"out"));
    });
}

#[test]
fn a_conversation_that_was_sent_in_a_tunnel_names_nothing_outside() {
    assert_not_believed(|tape| {
        let mut inside = Vec::new();
        let mut inner = Tape::new(&mut inside);
        ask_mapper(
            &mut inner,
            (CLIENT.0, 40_000),
            VICTIM,
            SAMR,
            &[(VICTIM, PORT)],
        );
        inner.flush();
        let mut at = 24;
        while at < inside.len() {
            let len = u32::from_le_bytes(inside[at + 8..at + 12].try_into().expect("four"));
            let frame = &inside[at + 16..at + 16 + len as usize];
            // VXLAN (RFC 7348 5): anybody can send one to anybody.
            let carried = [&[8, 0, 0, 0, 0, 0, 1, 0][..], frame].concat();
            tape.udp((LIAR, 4789), (ten(0, 0, 9), 4789), &carried);
            at += 16 + len as usize;
        }
    });
}

#[test]
fn ftp_arranges_nothing_with_a_third_host() {
    for (line, from_server) in [
        ("PORT 10,0,0,2,192,8\r\n", false),
        ("EPRT |1|10.0.0.2|49160|\r\n", false),
        ("227 Entering Passive Mode (10,0,0,2,192,8)\r\n", true),
    ] {
        let row = honest(|tape| {
            // The guest of the appointment is the honest client: nobody else could be meant.
            let (client, server) = match from_server {
                true => ((CLIENT.0, 40_000), (LIAR, 21)),
                false => ((LIAR, 40_000), (CLIENT.0, 21)),
            };
            let mut talk = Connection::open(tape, client, server);
            talk.answer(tape, b"220 FTP service ready\r\n");
            talk.ask(tape, b"USER me\r\n");
            match from_server {
                true => talk.answer(tape, line.as_bytes()),
                false => talk.ask(tape, line.as_bytes()),
            }
        });
        assert_eq!(row["service"], Json::Null, "{line}: {row:#}");
        assert_eq!(row["basis"], "none", "{line}: {row:#}");
    }
}

#[test]
fn names_of_ports_without_number_take_no_room_from_the_honest() {
    let row = honest(|tape| {
        for first in (1..=60_000_u16).step_by(200) {
            let ports: Vec<Peer> = (first..first + 200).map(|port| (LIAR, port)).collect();
            let client = (CLIENT.0, first.max(1024));
            ask_mapper(tape, client, LIAR, DNSSERVER, &ports);
        }
        ask_mapper(tape, (CLIENT.0, 40_000), VICTIM, SAMR, &[(VICTIM, PORT)]);
    });
    assert_eq!(row["service"], "LSASS", "{row:#}");
}
