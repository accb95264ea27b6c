//! Forged answers of every protocol that says where something listens: to another call, on another
//! context, of another host, twice, before the question, by the client itself. What was honestly
//! said stays, and no honest flow is called what a stranger says.

mod common;

use std::net::Ipv4Addr;

use common::floods::{ANSWER, QUERY};
use common::lies::{
    CLIENT, File, LIAR, PORT, VICTIM, assert_not_believed, find, honest, row_of, run,
};
use common::packets::{Said, client, server};
use common::rpc::activated;
use common::smb::through_pipe;
use common::wire::*;
use serde_json::Value as Json;

/// Where the client asks from.
const ASKER: Peer = (CLIENT.0, 40_000);

/// Where the victim says that SAMR is, while strangers say [`PORT`].
const TRUE_PORT: u16 = 49_155;

fn towers(port: u16) -> Vec<u8> {
    mapped(&[tower(SAMR, (VICTIM, port))])
}

/// A connection to the victim's endpoint mapper on which the client asked, as call 2.
fn asked(tape: &mut File) -> Connection {
    let mut talk = Connection::open(tape, ASKER, (VICTIM, 135));
    talk.ask(tape, &bind(1, EPM));
    talk.answer(tape, &bind_ack(1));
    talk.ask(tape, &request(2, EPT_MAP, &[0; 120]));
    talk
}

/// A PDU of a call moved to this presentation context.
fn on_context(context: u8, mut pdu: Vec<u8>) -> Vec<u8> {
    pdu[20] = context;
    pdu
}

#[test]
fn an_answer_on_another_context_is_not_believed_not_even_in_its_last_fragment() {
    let stub = towers(PORT);
    assert_not_believed(|tape| {
        let mut talk = asked(tape);
        talk.answer(tape, &on_context(1, response(2, &stub)));
    });
    for (first, last) in [(1, 0), (0, 1)] {
        assert_not_believed(|tape| {
            let (begin, end) = stub.split_at(40);
            let mut talk = asked(tape);
            talk.answer(tape, &on_context(first, response_part(1, 2, begin)));
            talk.answer(tape, &on_context(last, response_part(2, 2, end)));
        });
    }
}

#[test]
fn a_fragment_of_another_call_completes_no_answer() {
    let stub = towers(PORT);
    let (begin, end) = stub.split_at(40);
    assert_not_believed(|tape| {
        let mut talk = asked(tape);
        talk.answer(tape, &response_part(1, 2, begin));
        talk.answer(tape, &response_part(2, 3, end));
    });
}

#[test]
fn an_answer_of_another_interface_with_the_same_operation_is_not_believed() {
    assert_not_believed(|tape| {
        let mut talk = Connection::open(tape, ASKER, (VICTIM, 135));
        talk.ask(tape, &bind(1, DNSSERVER));
        talk.answer(tape, &bind_ack(1));
        talk.ask(tape, &request(2, EPT_MAP, &[0; 120]));
        talk.answer(tape, &response(2, &towers(PORT)));
    });
}

#[test]
fn an_answer_before_its_question_is_not_believed() {
    assert_not_believed(|tape| {
        let mut talk = Connection::open(tape, ASKER, (VICTIM, 135));
        talk.ask(tape, &bind(1, EPM));
        talk.answer(tape, &bind_ack(1));
        talk.answer(tape, &response(2, &towers(PORT)));
        talk.ask(tape, &request(2, EPT_MAP, &[0; 120]));
    });
}

/// The row of the honest client's flow to where the victim said that SAMR is, after a lie.
fn at_the_true_port(lie: impl FnOnce(&mut File)) -> Json {
    row_of(CLIENT, (VICTIM, TRUE_PORT), |tape| {
        lie(tape);
        silent_talk(tape, CLIENT, (VICTIM, TRUE_PORT));
    })
}

/// The true answer holds, and the other one does not, with the same lie in the capture.
fn assert_first_answer_holds(lie: impl Fn(&mut File)) {
    let row = at_the_true_port(&lie);
    assert_eq!(row["service"], "LSASS", "{row:#}");
    assert_not_believed(lie);
}

#[test]
fn a_second_answer_to_a_call_is_not_believed() {
    assert_first_answer_holds(|tape| {
        let mut talk = asked(tape);
        talk.answer(tape, &response(2, &towers(TRUE_PORT)));
        talk.answer(tape, &response(2, &towers(PORT)));
    });
}

#[test]
fn bytes_sent_again_with_another_answer_in_them_are_not_believed() {
    assert_first_answer_holds(|tape| {
        let mut talk = asked(tape);
        let mut again = talk;
        talk.answer(tape, &response(2, &towers(TRUE_PORT)));
        again.answer(tape, &response(2, &towers(PORT)));
    });
}

#[test]
fn bytes_that_wait_behind_a_hole_are_not_rewritten() {
    // As one host says both ports, the other answer is of the same length, and then longer.
    for longer in [0, 16] {
        assert_first_answer_holds(|tape| {
            let mut talk = asked(tape);
            let begun = talk;
            talk.skip_answer(8);
            let mut forged = talk;
            let answer = response(2, &towers(TRUE_PORT));
            talk.answer(tape, &answer[8..]);
            let mut other = response(2, &towers(PORT));
            other.extend(vec![0; longer]);
            forged.answer(tape, &other[8..]);
            let mut late = begun;
            late.answer(tape, &answer[..8]);
            talk.close(tape);
        });
        assert_first_answer_holds(|tape| {
            let mut talk = asked(tape);
            let begun = talk;
            let answer = response(2, &towers(TRUE_PORT));
            talk.skip_answer(40);
            talk.answer(tape, &answer[40..]);
            let mut other = response(2, &towers(PORT));
            other.extend(vec![0; longer]);
            let mut forged = begun;
            forged.skip_answer(8);
            forged.answer(tape, &other[8..]);
            let mut late = begun;
            late.answer(tape, &answer[..8]);
            talk.close(tape);
        });
    }
}

#[test]
fn bytes_that_are_far_ahead_of_the_answer_are_not_believed() {
    for ahead in [1, 4096, 100_000, 1 << 30, 1 << 31, u32::MAX - 50_000] {
        assert_first_answer_holds(|tape| {
            let mut talk = asked(tape);
            let mut forged = talk;
            forged.skip_answer(ahead);
            forged.answer(tape, &response(2, &towers(PORT)));
            talk.answer(tape, &response(2, &towers(TRUE_PORT)));
            talk.close(tape);
        });
    }
}

#[test]
fn a_flow_of_a_stranger_answers_no_call_of_another_flow() {
    for stranger in [(LIAR, 135), (VICTIM, 4135)] {
        assert_not_believed(|tape| {
            let talk = asked(tape);
            let mut forged = Connection::without_handshake(ASKER, stranger);
            forged.answer(tape, &response(2, &towers(PORT)));
            talk.close(tape);
        });
    }
    // From the right host and port, to another of the client's.
    assert_not_believed(|tape| {
        let _ = asked(tape);
        let mut forged = Connection::without_handshake((ASKER.0, 40_001), (VICTIM, 135));
        forged.answer(tape, &response(2, &towers(PORT)));
    });
}

#[test]
fn a_capture_of_a_talk_with_its_sides_changed_names_nothing_of_the_client() {
    // The victim is the client, and would be the server if its port were believed.
    assert_not_believed(|tape| {
        let mut talk = Connection::open(tape, (VICTIM, 135), (LIAR, 40_000));
        talk.ask(tape, &bind(1, EPM));
        talk.answer(tape, &bind_ack(1));
        talk.ask(tape, &request(2, EPT_MAP, &[0; 120]));
        talk.answer(tape, &response(2, &towers(PORT)));
    });
}

const REQUEST: u8 = 0;
const RESPONSE: u8 = 2;

fn datagram_asked(tape: &mut File) {
    let question = rpc_datagram(REQUEST, EPM, 1, EPT_MAP, &[0; 120]);
    tape.udp(ASKER, (VICTIM, 135), &question);
}

fn datagram_answer(sequence: u32, port: u16) -> Vec<u8> {
    rpc_datagram(RESPONSE, EPM, sequence, EPT_MAP, &towers(port))
}

/// The victim's answer, or what comes in its name.
fn datagram_from_victim(tape: &mut File, datagram: &[u8]) {
    tape.udp((VICTIM, 135), ASKER, datagram);
}

#[test]
fn over_udp_the_answer_of_who_was_asked_is_believed_however_often_it_comes() {
    for times in 1..4 {
        let row = at_the_true_port(|tape| {
            datagram_asked(tape);
            for _ in 0..times {
                datagram_from_victim(tape, &datagram_answer(1, TRUE_PORT));
            }
        });
        assert_eq!(row["service"], "LSASS", "{times}: {row:#}");
        let row = at_the_true_port(|tape| {
            for _ in 0..times {
                datagram_asked(tape);
                datagram_from_victim(tape, &datagram_answer(1, TRUE_PORT));
            }
        });
        assert_eq!(row["service"], "LSASS", "asked as often: {row:#}");
    }
    let both = [
        tower(SAMR, (VICTIM, TRUE_PORT)),
        tower(SAMR, (VICTIM, 49_156)),
    ];
    let turned = [both[1].clone(), both[0].clone()];
    let row = at_the_true_port(|tape| {
        datagram_asked(tape);
        for towers in [both, turned] {
            let answer = rpc_datagram(RESPONSE, EPM, 1, EPT_MAP, &mapped(&towers));
            datagram_from_victim(tape, &answer);
        }
    });
    assert_eq!(row["service"], "LSASS", "in another order: {row:#}");
}

/// Whether a row says that answers differ.
fn says_contested(row: &Json) -> bool {
    let grounds = row["evidence"].as_array().into_iter().flatten();
    let mut kinds = grounds.map(|ground| &ground["kind"]);
    kinds.any(|kind| kind == "endpoint-contested")
}

/// The ports that answers differ in are nobody's.
fn assert_contested(lie: impl Fn(&mut File)) {
    let result = run(|tape| {
        lie(tape);
        for port in [PORT, TRUE_PORT] {
            silent_talk(tape, CLIENT, (VICTIM, port));
        }
    });
    let mut contested = 0;
    for port in [PORT, TRUE_PORT] {
        let row = find(&result, CLIENT, (VICTIM, port));
        assert_eq!(row["service"], Json::Null, "{row:#}");
        assert_eq!(row["basis"], "none", "{row:#}");
        contested += u64::from(says_contested(&row));
    }
    let counted = &result.stats()["given_up"]["endpoints contested"];
    assert!(
        contested > 0 && *counted == contested,
        "{contested} {counted}"
    );
    let asked = find(&result, ASKER, (VICTIM, 135));
    assert!(says_contested(&asked), "{asked:#}");
}

#[test]
fn over_udp_of_answers_that_differ_none_is_believed_whichever_comes_first() {
    let orders: [&[u16]; 4] = [
        &[PORT, TRUE_PORT],
        &[TRUE_PORT, PORT],
        &[TRUE_PORT, TRUE_PORT, PORT],
        &[PORT, TRUE_PORT, PORT, TRUE_PORT],
    ];
    for order in orders {
        assert_contested(|tape| {
            datagram_asked(tape);
            for port in order {
                datagram_from_victim(tape, &datagram_answer(1, *port));
            }
        });
        assert_contested(|tape| {
            for port in order {
                datagram_asked(tape);
                datagram_from_victim(tape, &datagram_answer(1, *port));
            }
        });
    }
    // One more endpoint beside the true one.
    assert_contested(|tape| {
        let both = mapped(&[
            tower(SAMR, (VICTIM, TRUE_PORT)),
            tower(SAMR, (VICTIM, PORT)),
        ]);
        datagram_asked(tape);
        datagram_from_victim(tape, &rpc_datagram(RESPONSE, EPM, 1, EPT_MAP, &both));
        datagram_from_victim(tape, &datagram_answer(1, TRUE_PORT));
    });
}

#[test]
fn over_udp_what_ends_a_call_otherwise_takes_its_answer_back() {
    const FAULT: u8 = 3;
    const REJECT: u8 = 6;
    let nothing = |kind| rpc_datagram(kind, EPM, 1, EPT_MAP, &[0; 4]);
    let mut sealed = datagram_answer(1, TRUE_PORT);
    sealed[78] = 10;
    let none = rpc_datagram(RESPONSE, EPM, 1, EPT_MAP, &mapped(&[]));
    // A server that sends calls back would send anything.
    let echo = rpc_datagram(REQUEST, EPM, 1, EPT_MAP, &[0; 120]);
    // Some leave out which operation it was.
    let of_none = rpc_datagram(FAULT, EPM, 1, 0xffff, &[0; 4]);
    for other in [nothing(FAULT), nothing(REJECT), of_none, sealed, none, echo] {
        assert_contested(|tape| {
            datagram_asked(tape);
            datagram_from_victim(tape, &datagram_answer(1, PORT));
            datagram_from_victim(tape, &other);
        });
    }
}

#[test]
fn over_udp_an_answer_is_compared_with_the_first_however_many_calls_lie_between() {
    assert_contested(|tape| {
        datagram_asked(tape);
        datagram_from_victim(tape, &datagram_answer(1, PORT));
        for call in 2..200 {
            let question = rpc_datagram(REQUEST, EPM, call, EPT_MAP, &[0; 120]);
            tape.udp(ASKER, (VICTIM, 135), &question);
        }
        datagram_from_victim(tape, &datagram_answer(1, TRUE_PORT));
    });
}

/// A fragment of an answer to call 1; whether it is the last.
fn fragment_of_answer(number: u8, is_last: bool, stub: &[u8]) -> Vec<u8> {
    let mut datagram = rpc_datagram(RESPONSE, EPM, 1, EPT_MAP, stub);
    datagram[2] = 0x24 | u8::from(is_last) << 1;
    datagram[76] = number;
    datagram
}

#[test]
fn over_udp_no_fragment_replaces_another() {
    let parts = |port| {
        let stub = towers(port);
        let (begin, end) = stub.split_at(40);
        [
            fragment_of_answer(0, false, begin),
            fragment_of_answer(1, true, end),
        ]
    };
    let whole = parts(TRUE_PORT);
    let row = at_the_true_port(|tape| {
        datagram_asked(tape);
        for part in [&whole[0], &whole[0], &whole[1], &whole[0], &whole[1]] {
            datagram_from_victim(tape, part);
        }
    });
    assert_eq!(row["service"], "LSASS", "{row:#}");
    let ([begin, end], [_, other_end]) = (parts(TRUE_PORT), parts(PORT));
    let alone = datagram_answer(1, PORT);
    for order in [
        [&begin, &end, &other_end],
        [&begin, &other_end, &end],
        [&begin, &alone, &end],
        [&alone, &begin, &end],
    ] {
        assert_contested(|tape| {
            datagram_asked(tape);
            order
                .iter()
                .for_each(|part| datagram_from_victim(tape, part));
        });
    }
    let mut other_begin = begin.clone();
    other_begin[80 + 21] ^= 1;
    assert_not_believed_at(TRUE_PORT, |tape| {
        datagram_asked(tape);
        for part in [&begin, &other_begin, &end] {
            datagram_from_victim(tape, part);
        }
    });
}

/// Nothing names what is at this port.
fn assert_not_believed_at(port: u16, lie: impl FnOnce(&mut File)) {
    let row = row_of(CLIENT, (VICTIM, port), |tape| {
        lie(tape);
        silent_talk(tape, CLIENT, (VICTIM, port));
    });
    assert_eq!(row["service"], Json::Null, "{row:#}");
    assert_eq!(row["basis"], "none", "{row:#}");
}

/// The client asks, and answers about these ports come.
fn contest(tape: &mut File) {
    datagram_asked(tape);
    for port in [PORT, TRUE_PORT] {
        datagram_from_victim(tape, &datagram_answer(1, port));
    }
}

#[test]
fn what_was_contested_is_not_believed_again_from_a_datagram() {
    let again = |tape: &mut File, call| {
        let question = rpc_datagram(REQUEST, EPM, call, EPT_MAP, &[0; 120]);
        tape.udp(ASKER, (VICTIM, 135), &question);
        datagram_from_victim(tape, &datagram_answer(call, PORT));
    };
    assert_not_believed(|tape| {
        contest(tape);
        again(tape, 2);
    });
    assert_not_believed(|tape| {
        again(tape, 2);
        contest(tape);
    });
}

#[test]
fn what_a_stream_taught_is_not_contested_by_datagrams_nor_moved() {
    let asks = |tape: &mut File| {
        let at = [(VICTIM, TRUE_PORT)];
        ask_mapper(tape, (CLIENT.0, 50_100), VICTIM, SAMR, &at);
    };
    let forged = |tape: &mut File| {
        datagram_asked(tape);
        datagram_from_victim(tape, &datagram_answer(1, PORT));
    };
    let lies: [&dyn Fn(&mut File); 4] = [
        &|tape| {
            contest(tape);
            asks(tape);
        },
        &|tape| {
            asks(tape);
            contest(tape);
        },
        &|tape| {
            asks(tape);
            forged(tape);
        },
        &|tape| {
            forged(tape);
            asks(tape);
        },
    ];
    for lie in lies {
        let row = at_the_true_port(lie);
        assert_eq!(row["service"], "LSASS", "{row:#}");
        assert_eq!(row["basis"], "endpoint", "{row:#}");
    }
}

#[test]
fn what_binds_at_a_contested_port_keeps_its_name() {
    let row = row_of(CLIENT, (VICTIM, TRUE_PORT), |tape| {
        contest(tape);
        let mut talk = Connection::open(tape, CLIENT, (VICTIM, TRUE_PORT));
        talk.ask(tape, &bind(1, SAMR));
        talk.answer(tape, &bind_ack(1));
        talk.close(tape);
    });
    assert_eq!(row["service"], "LSASS", "{row:#}");
    assert_eq!(row["basis"], "content", "{row:#}");
    // Others there are named by it, too: it was on the port itself.
    let row = at_the_true_port(|tape| {
        let mut talk = Connection::open(tape, (CLIENT.0, 50_100), (VICTIM, TRUE_PORT));
        talk.ask(tape, &bind(1, SAMR));
        talk.answer(tape, &bind_ack(1));
        talk.close(tape);
        contest(tape);
    });
    assert_eq!(row["basis"], "endpoint", "{row:#}");
}

#[test]
fn a_flow_that_is_over_before_its_port_is_contested_is_not_named_by_it() {
    for port in [PORT, TRUE_PORT] {
        let row = row_of(CLIENT, (VICTIM, port), |tape| {
            datagram_asked(tape);
            datagram_from_victim(tape, &datagram_answer(1, PORT));
            silent_talk(tape, CLIENT, (VICTIM, port));
            datagram_from_victim(tape, &datagram_answer(1, TRUE_PORT));
        });
        assert_eq!(row["service"], Json::Null, "{row:#}");
    }
}

#[test]
fn over_udp_nobody_else_is_believed_and_nobody_about_another_call() {
    let answer = |sequence| datagram_answer(sequence, PORT);
    assert_not_believed(|tape| tape.udp((VICTIM, 135), ASKER, &answer(1)));
    assert_not_believed(|tape| {
        tape.udp((VICTIM, 135), ASKER, &answer(1));
        datagram_asked(tape);
    });
    for (from, to, sequence) in [
        ((VICTIM, 135), ASKER, 2),
        ((LIAR, 135), ASKER, 1),
        ((VICTIM, 136), ASKER, 1),
        ((VICTIM, 135), (ASKER.0, 40_001), 1),
        (ASKER, (VICTIM, 135), 1),
    ] {
        assert_not_believed(|tape| {
            datagram_asked(tape);
            tape.udp(from, to, &answer(sequence));
        });
    }
}

#[test]
fn over_udp_a_server_that_sends_back_what_it_is_sent_proves_nothing() {
    let row = row_of(CLIENT, (VICTIM, PORT), |tape| {
        for kind in [REQUEST, RESPONSE] {
            let said = rpc_datagram(kind, SAMR, 1, 5, &[0; 64]);
            tape.udp((LIAR, 40_000), (VICTIM, PORT), &said);
            tape.udp((VICTIM, PORT), (LIAR, 40_000), &said);
        }
        tape.udp(CLIENT, (VICTIM, PORT), &[0x9e; 64]);
        tape.udp((VICTIM, PORT), CLIENT, &[0x9f; 64]);
    });
    assert_eq!(row["service"], Json::Null, "{row:#}");
}

/// What client and server say.
fn say(tape: &mut File, talk: &mut Connection, said: &[Said]) {
    for said in said {
        match said {
            Said::Client(bytes) => talk.ask(tape, bytes),
            Said::Server(bytes) => talk.answer(tape, bytes),
        }
    }
}

/// The client asks the endpoint mapper, as call 2; this call is answered.
fn asks_mapper(answered: u32) -> Vec<Said> {
    vec![
        client(bind(1, EPM)),
        server(bind_ack(1)),
        client(request(2, EPT_MAP, &[0; 120])),
        server(response(answered, &towers(PORT))),
    ]
}

/// All of it is said by the client.
fn by_client(said: Vec<Said>) -> Vec<Said> {
    let bytes = |said| match said {
        Said::Client(bytes) | Said::Server(bytes) => bytes,
    };
    said.into_iter().map(bytes).map(client).collect()
}

/// A session of SMB, with what is said in it.
fn session(tape: &mut File, server: Peer, said: &[Said]) {
    let mut talk = Connection::open(tape, ASKER, server);
    say(tape, &mut talk, said);
}

#[test]
fn an_endpoint_mapper_in_a_pipe_is_believed_of_itself_and_only_when_it_was_asked() {
    let asked = through_pipe("epmapper", asks_mapper(2));
    for port in [445, 139] {
        let row = honest(|tape| session(tape, (VICTIM, port), &asked));
        assert_eq!(row["service"], "LSASS", "the true one: {row:#}");
    }
    for stranger in [(LIAR, 445), (VICTIM, 4445)] {
        assert_not_believed(|tape| session(tape, stranger, &asked));
    }
    for said in [asks_mapper(3), by_client(asks_mapper(2))] {
        let said = through_pipe("epmapper", said);
        assert_not_believed(|tape| session(tape, (VICTIM, 445), &said));
    }
    let said = by_client(asked);
    assert_not_believed(|tape| session(tape, (VICTIM, 445), &said));
}

/// Messages of a session before a file is opened in it: the dialect and the tree.
const OPENING: usize = 4;

#[test]
fn a_file_in_which_an_answer_of_the_endpoint_mapper_stands_is_no_pipe() {
    let mut on_disk = through_pipe("epmapper", asks_mapper(2));
    // Anyone can write to a file what a server would say, and have it read.
    let Said::Server(connected) = &mut on_disk[OPENING - 1] else {
        panic!("the server answers");
    };
    connected[4 + 64 + 2] = 1; // a disk (MS-SMB2 2.2.10)
    assert_not_believed(|tape| session(tape, (VICTIM, 445), &on_disk));
    for begun in [OPENING, OPENING + 2] {
        // Of what was connected before the capture nobody knows what it is.
        assert_not_believed(|tape| session(tape, (VICTIM, 445), &on_disk[begun..]));
    }
}

/// The greeting of RPC over HTTP (MS-RPCH 2.1.1.2).
const GREETING: &[u8] = b"ncacn_http/1.0";

#[test]
fn an_endpoint_mapper_over_http_is_believed_of_itself_and_only_when_it_was_asked() {
    let greeted = |said: Vec<Said>| [vec![server(GREETING)], said].concat();
    let asked = greeted(asks_mapper(2));
    let row = honest(|tape| session(tape, (VICTIM, 593), &asked));
    assert_eq!(row["service"], "LSASS", "the true one: {row:#}");
    for stranger in [(LIAR, 593), (VICTIM, 5593), (VICTIM, 80)] {
        assert_not_believed(|tape| session(tape, stranger, &asked));
    }
    for said in [asks_mapper(3), by_client(asks_mapper(2))] {
        let said = greeted(said);
        assert_not_believed(|tape| session(tape, (VICTIM, 593), &said));
    }
    let said = by_client(asked);
    assert_not_believed(|tape| session(tape, (VICTIM, 593), &said));
}

/// A request that opens a tunnel of RPC to another server, and its answer.
fn tunnel_to(target: &str) -> Vec<Said> {
    let length = "Content-Length: 1000000";
    let request = format!("RPC_IN_DATA /rpc/rpcproxy.dll?{target} HTTP/1.1\r\n{length}\r\n\r\n");
    let answer = format!("HTTP/1.1 200 Success\r\n{length}\r\n\r\n");
    vec![client(request), server(answer)]
}

#[test]
fn what_binds_through_a_proxy_does_not_live_at_the_proxy() {
    let bound = vec![
        client(bind(1, SAMR)),
        server(bind_ack(1)),
        client(request(2, 5, &[0; 64])),
        server(response(2, &[0; 64])),
    ];
    let said = [tunnel_to("10.0.0.9:6001"), bound].concat();
    assert_not_believed(|tape| session(tape, (VICTIM, PORT), &said));
    let said = [tunnel_to("10.0.0.9:593"), asks_mapper(2)].concat();
    for port in [80, 593] {
        assert_not_believed(|tape| session(tape, (VICTIM, port), &said));
    }
}

/// A string binding at this address and port, as an answer to `ResolveOxid` (MS-DCOM 3.1.2.5.1.1).
fn resolved((address, port): Peer) -> Vec<u8> {
    let mut units = vec![7];
    units.extend(format!("{address}[{port}]").encode_utf16());
    units.extend([0, 0]);
    let security = units.len() as u16;
    units.extend([10, 0xffff, 0, 0]);
    let mut stub = 0x20000_u32.to_le_bytes().to_vec();
    stub.extend((units.len() as u32).to_le_bytes());
    for unit in [units.len() as u16, security].into_iter().chain(units) {
        stub.extend(unit.to_le_bytes());
    }
    stub.resize(stub.len().next_multiple_of(4), 0);
    stub.extend([0x33; 16]);
    stub.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    stub
}

const OBJECT_EXPORTER: Interface = (0x99fcfec4_5260_101b_bbcb_00aa0021347a, 0);

/// `ResolveOxid`.
const RESOLVE: u16 = 0;

/// A connection to this host's object resolver on which the client asked, as call 2.
fn resolving(tape: &mut File, server: Ipv4Addr) -> Connection {
    let mut talk = Connection::open(tape, ASKER, (server, 135));
    talk.ask(tape, &bind(1, OBJECT_EXPORTER));
    talk.answer(tape, &bind_ack(1));
    talk.ask(tape, &request(2, RESOLVE, &[0; 24]));
    talk
}

/// The row of the honest flow has nothing that objects have.
fn assert_no_objects(lie: impl FnOnce(&mut File)) {
    let row = assert_not_believed(lie);
    assert_eq!(row["application"], Json::Null, "{row:#}");
}

#[test]
fn an_object_exporter_is_believed_only_of_itself_and_only_when_it_was_asked() {
    let binding = resolved((VICTIM, PORT));
    let row = honest(|tape| {
        let mut talk = resolving(tape, VICTIM);
        talk.answer(tape, &response(2, &binding));
    });
    assert_eq!(row["basis"], "endpoint", "the true one: {row:#}");
    assert_no_objects(|tape| {
        let mut talk = resolving(tape, LIAR);
        talk.answer(tape, &response(2, &binding));
    });
    assert_no_objects(|tape| {
        let mut talk = resolving(tape, VICTIM);
        talk.answer(tape, &response(3, &binding));
    });
    assert_no_objects(|tape| {
        let mut talk = resolving(tape, VICTIM);
        talk.answer(tape, &on_context(1, response(2, &binding)));
    });
    assert_no_objects(|tape| {
        let mut talk = resolving(tape, VICTIM);
        talk.ask(tape, &response(2, &binding));
    });
}

#[test]
fn an_activation_is_believed_of_its_own_host_and_only_when_it_was_asked() {
    // Windows Management Instrumentation; its answer names this host.
    let answers = activated("8bc3f05e-d86b-11d0-a075-00c04fb68820", PORT);
    let named = (Ipv4Addr::from(common::packets::SERVER), PORT);
    let row_after = |asked: Peer, said: &[Said]| {
        row_of(CLIENT, named, |tape| {
            session(tape, asked, said);
            silent_talk(tape, CLIENT, named);
        })
    };
    let row = row_after((named.0, 135), &answers);
    assert_eq!(row["service"], "Winmgmt", "the true one: {row:#}");
    let unasked = [&answers[..2], &answers[3..]].concat();
    for (asked, said) in [
        ((LIAR, 135), answers.clone()),
        ((named.0, 4135), answers.clone()),
        ((named.0, 135), unasked),
        ((named.0, 135), by_client(answers)),
    ] {
        let row = row_after(asked, &said);
        assert_eq!(row["service"], Json::Null, "{asked:?}: {row:#}");
        assert_eq!(row["basis"], "none", "{asked:?}: {row:#}");
    }
}

/// An answer of SQL Server's browser: this instance at this port (MC-SQLR 2.2.5).
fn browser_answer(port: u16) -> Vec<u8> {
    let text = format!("ServerName;VICTIM;InstanceName;MSSQLSERVER;IsClustered;No;tcp;{port};;");
    let mut answer = vec![5];
    answer.extend((text.len() as u16).to_le_bytes());
    answer.extend(text.bytes());
    answer
}

/// The same for one instance's administrators (2.2.6).
fn administrators_answer(port: u16) -> Vec<u8> {
    [&[5, 6, 0, 1], &port.to_le_bytes()[..]].concat()
}

const BROWSER: Peer = (VICTIM, 1434);

#[test]
fn a_browser_of_sql_server_is_believed_when_it_was_asked() {
    let row = honest(|tape| {
        tape.udp(ASKER, BROWSER, &[3]);
        tape.udp(BROWSER, ASKER, &browser_answer(PORT));
    });
    assert_eq!(row["basis"], "endpoint", "{row:#}");
    let row = honest(|tape| {
        tape.udp(ASKER, BROWSER, b"\x0f\x01MSSQLSERVER\0");
        tape.udp(BROWSER, ASKER, &administrators_answer(PORT));
    });
    assert_eq!(row["basis"], "endpoint", "{row:#}");
}

#[test]
fn nobody_answers_for_a_browser_of_sql_server() {
    for (question, answer) in [
        (&b"\x03"[..], browser_answer(PORT)),
        (b"\x0f\x01MSSQLSERVER\0", administrators_answer(PORT)),
    ] {
        for liar in [(LIAR, 40_000), ASKER] {
            // Who asks and answers himself.
            assert_not_believed(|tape| {
                tape.udp(liar, BROWSER, question);
                tape.udp(liar, BROWSER, &answer);
            });
        }
        // Who was not asked.
        assert_not_believed(|tape| tape.udp(BROWSER, ASKER, &answer));
        assert_not_believed(|tape| {
            tape.udp(BROWSER, ASKER, &answer);
            tape.udp(ASKER, BROWSER, question);
        });
        for (from, to) in [
            ((LIAR, 1434), ASKER),
            ((VICTIM, 1435), ASKER),
            (BROWSER, (ASKER.0, 40_001)),
        ] {
            assert_not_believed(|tape| {
                tape.udp(ASKER, BROWSER, question);
                tape.udp(from, to, &answer);
            });
        }
    }
}

/// None of the ports that a browser's answers differ in is believed.
fn assert_contested_by_browser(lie: impl Fn(&mut File)) {
    let result = run(|tape| {
        lie(tape);
        for port in [PORT, TRUE_PORT] {
            silent_talk(tape, CLIENT, (VICTIM, port));
        }
    });
    for port in [PORT, TRUE_PORT] {
        let row = find(&result, CLIENT, (VICTIM, port));
        assert_eq!(row["service"], Json::Null, "{row:#}");
        assert_eq!(row["basis"], "none", "{row:#}");
    }
    let counted = &result.stats()["given_up"]["endpoints contested"];
    assert!(counted.as_u64().is_some_and(|count| count > 0), "{counted}");
    let asked = find(&result, ASKER, BROWSER);
    assert!(says_contested(&asked), "{asked:#}");
}

#[test]
fn a_browser_that_answers_the_same_again_is_believed() {
    let row = honest(|tape| {
        for _ in 0..3 {
            tape.udp(ASKER, BROWSER, &[3]);
            tape.udp(BROWSER, ASKER, &browser_answer(PORT));
            tape.udp(BROWSER, ASKER, &browser_answer(PORT));
        }
    });
    assert_eq!(row["basis"], "endpoint", "{row:#}");
}

#[test]
fn of_answers_of_a_browser_that_differ_none_is_believed_whichever_comes_first() {
    let ports = [[PORT, TRUE_PORT], [TRUE_PORT, PORT]];
    let all = (&b"\x03"[..], browser_answer as fn(u16) -> Vec<u8>);
    let one = (
        &b"\x04MSSQLSERVER\0"[..],
        browser_answer as fn(u16) -> Vec<u8>,
    );
    let administrators = (
        &b"\x0f\x01MSSQLSERVER\0"[..],
        administrators_answer as fn(u16) -> Vec<u8>,
    );
    for (question, answer) in [all, one, administrators] {
        for order in ports {
            assert_contested_by_browser(|tape| {
                tape.udp(ASKER, BROWSER, question);
                order
                    .iter()
                    .for_each(|port| tape.udp(BROWSER, ASKER, &answer(*port)));
            });
            // Another question in the client's name does not make the second answer one to it.
            assert_contested_by_browser(|tape| {
                tape.udp(ASKER, BROWSER, question);
                tape.udp(BROWSER, ASKER, &answer(order[0]));
                for other in [&b"\x03"[..], b"\x04OTHER\0", b"\x0f\x01OTHER\0"] {
                    tape.udp(ASKER, BROWSER, other);
                }
                tape.udp(BROWSER, ASKER, &answer(order[1]));
            });
        }
    }
}

#[test]
fn two_instances_that_are_asked_for_one_by_one_are_both_believed() {
    let answer = |name: &str, port: u16| {
        let text = format!("ServerName;VICTIM;InstanceName;{name};IsClustered;No;tcp;{port};;");
        [
            &[5][..],
            &(text.len() as u16).to_le_bytes(),
            text.as_bytes(),
        ]
        .concat()
    };
    for port in [PORT, TRUE_PORT] {
        let row = row_of(CLIENT, (VICTIM, port), |tape| {
            for (name, at) in [("ONE", PORT), ("TWO", TRUE_PORT)] {
                tape.udp(ASKER, BROWSER, format!("\x04{name}\0").as_bytes());
                tape.udp(BROWSER, ASKER, &answer(name, at));
            }
            silent_talk(tape, CLIENT, (VICTIM, port));
        });
        assert_eq!(row["basis"], "endpoint", "{row:#}");
    }
}

/// The row of the honest client's datagrams to the victim's port, which nobody can read.
fn honest_datagrams(client: Peer, lie: impl FnOnce(&mut File)) -> Json {
    row_of(client, (VICTIM, PORT), |tape| {
        lie(tape);
        tape.udp(client, (VICTIM, PORT), &[0x9e; 64]);
        tape.udp((VICTIM, PORT), client, &[0x9f; 64]);
    })
}

const MEDIA: Peer = (CLIENT.0, 50_000);

/// A SETUP and its answer, which assigns these ports, said by who is told to.
fn set_up(tape: &mut File, server: Ipv4Addr, transport: &str, by_client: bool) {
    let mut talk = Connection::open(tape, ASKER, (server, 554));
    let wanted = "Transport: RTP/AVP;unicast;client_port=50000-50001";
    let setup = format!("SETUP rtsp://h/v RTSP/1.0\r\nCSeq: 1\r\n{wanted}\r\n\r\n");
    talk.ask(tape, setup.as_bytes());
    let answer = format!("RTSP/1.0 200 OK\r\nCSeq: 1\r\nTransport: {transport}\r\n\r\n");
    match by_client {
        true => talk.ask(tape, answer.as_bytes()),
        false => talk.answer(tape, answer.as_bytes()),
    }
}

#[test]
fn rtsp_sets_up_no_media_with_a_third_host() {
    let transport = format!("RTP/AVP;unicast;client_port=50000-50001;server_port={PORT}");
    let row = honest_datagrams(MEDIA, |tape| set_up(tape, VICTIM, &transport, false));
    assert_eq!(row["application"], "RTSP media", "the true one: {row:#}");
    let third = format!("{transport};source={VICTIM};destination={}", CLIENT.0);
    for (server, transport) in [(LIAR, &transport), (LIAR, &third)] {
        for by_client in [true, false] {
            let row = honest_datagrams(MEDIA, |tape| set_up(tape, server, transport, by_client));
            assert_eq!(row["basis"], "none", "{transport}: {row:#}");
            assert_eq!(row["application"], Json::Null, "{transport}: {row:#}");
        }
    }
}

#[test]
fn a_transfer_that_was_arranged_with_one_host_comes_from_no_other() {
    let request = b"\0\x01boot.0\0octet\0";
    for (from, to) in [
        (MEDIA, (LIAR, 69)),
        ((LIAR, 50_000), (VICTIM, 69)),
        ((LIAR, PORT), MEDIA),
        ((LIAR, 69), (VICTIM, PORT)),
    ] {
        let row = honest_datagrams(MEDIA, |tape| tape.udp(from, to, request));
        assert_eq!(row["basis"], "none", "{from:?} {to:?}: {row:#}");
        assert_eq!(row["application"], Json::Null, "{from:?} {to:?}: {row:#}");
    }
}

#[test]
fn what_speaks_for_itself_is_no_transfer_though_one_was_arranged_there() {
    let row = row_of(MEDIA, (VICTIM, 53), |tape| {
        tape.udp(MEDIA, (VICTIM, 69), b"\0\x01boot.0\0octet\0");
        tape.udp(MEDIA, (VICTIM, 53), QUERY);
        tape.udp((VICTIM, 53), MEDIA, ANSWER);
    });
    assert_eq!(row["service"], "DNS", "{row:#}");
    let bound = |port| {
        row_of(CLIENT, (VICTIM, port), |tape| {
            let mut control = Connection::open(tape, ASKER, (VICTIM, 21));
            control.answer(tape, b"220 FTP service ready\r\n");
            control.ask(tape, b"PASV\r\n");
            let [high, low] = port.to_be_bytes();
            let passive = format!("227 Entering Passive Mode (10,0,0,2,{high},{low})\r\n");
            control.answer(tape, passive.as_bytes());
            let mut talk = Connection::open(tape, CLIENT, (VICTIM, port));
            talk.ask(tape, &bind(1, SAMR));
            talk.answer(tape, &bind_ack(1));
            talk.ask(tape, &request(2, 5, &[0; 64]));
            talk.answer(tape, &response(2, &[0; 64]));
        })
    };
    let row = bound(PORT);
    assert_eq!(row["service"], "LSASS", "{row:#}");
    let row = bound(135);
    assert_ne!(row["application"], "FTP data", "{row:#}");
}

#[test]
fn a_client_that_says_what_an_ftp_server_says_arranges_nothing_with_others() {
    for line in [
        "227 Entering Passive Mode (10,0,0,2,192,8)\r\n",
        "229 Entering Extended Passive Mode (|||49160|)\r\n",
    ] {
        assert_not_believed(|tape| {
            let mut talk = Connection::open(tape, (LIAR, 40_000), (VICTIM, 21));
            talk.answer(tape, b"220 FTP service ready\r\n");
            talk.ask(tape, b"PASV\r\n");
            talk.ask(tape, line.as_bytes());
        });
    }
}
