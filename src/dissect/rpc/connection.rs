//! One connection: two streams of PDUs that may be torn anywhere. Headers are read and what matters
//! is kept whole; everything else is passed over by its length, without being buffered.

use crate::dissect::cutter::Cutter;
use crate::dissect::read::Reader;
use crate::dissect::rpc::association::Association;
use crate::dissect::rpc::pdu::{CALL_HEADER_LEN, Call, HEADER_LEN, Header};
use crate::dissect::{Dissector, Progress};
use crate::model::evidence::{Claim, Direction};

/// How many bytes without a PDU one direction may bring before the connection is given up: a
/// thousand full segments, in which a stream that is RPC would have shown a boundary.
const MAX_LOST: u64 = 1 << 20;

/// Follows connection-oriented RPC, over TCP or inside anything else that carries its bytes in order.
#[derive(Default)]
pub struct Connection {
    streams: [Cutter; 2],
    association: Association,
}

impl Dissector for Connection {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let Connection {
            streams,
            association,
        } = self;
        let stream = &mut streams[from.index()];
        let mut bytes = Reader::little(bytes);
        loop {
            stream.pass_over(&mut bytes);
            if let Some((header, pdu)) = next_in_place(stream, &mut bytes) {
                let call = Call::read(&header, pdu);
                let seen = match association.wants(from, &header, call) {
                    true => pdu,
                    false => &pdu[..pdu.len().min(CALL_HEADER_LEN)],
                };
                association.see(from, &header, seen, found);
            } else if let Some(header) = next(stream, &mut bytes, from, association) {
                association.see(from, &header, &stream.pending, found);
                stream.clear();
            } else {
                break;
            }
        }
        if stream.lost() > MAX_LOST {
            association.finish(found);
            return Progress::Done;
        }
        Progress::More
    }

    fn gap(&mut self, from: Direction, missing: Option<u64>) {
        self.streams[from.index()].gap(missing);
        self.association.gap();
    }

    fn finish(&mut self, found: &mut Vec<Claim>) {
        self.association.finish(found);
    }

    fn kept(&self) -> usize {
        let pending: usize = self.streams.iter().map(|stream| stream.pending.len()).sum();
        pending + self.association.kept()
    }
}

/// The next PDU of a direction, if all of it has come at once, as it mostly does: then nothing is
/// copied.
fn next_in_place<'a>(stream: &Cutter, bytes: &mut Reader<'a>) -> Option<(Header, &'a [u8])> {
    if !stream.is_at_boundary() {
        return None;
    }
    let header = Header::read(bytes.clone().take(HEADER_LEN).ok()?)?;
    Some((header, bytes.take(header.len.into()).ok()?))
}

/// The next PDU of a direction, whose beginning is then `pending`: all of it if the association
/// wants that, else at least its call header. `None` when the bytes are used up.
fn next(
    stream: &mut Cutter,
    bytes: &mut Reader,
    from: Direction,
    association: &Association,
) -> Option<Header> {
    let header = loop {
        stream.find_boundary(bytes, HEADER_LEN, leads_on)?;
        stream.fill(HEADER_LEN, bytes)?;
        match Header::read(&stream.pending) {
            Some(header) => break header,
            None => stream.lose(),
        }
    };
    let len = usize::from(header.len);
    stream.fill(CALL_HEADER_LEN.min(len), bytes)?;
    let call = Call::read(&header, &stream.pending);
    if association.wants(from, &header, call) {
        stream.fill(len, bytes)?;
    }
    stream.skip_rest(len);
    Some(header)
}

/// Whether a PDU begins here, judged by its header and by what lies where it ends.
fn leads_on(mut bytes: Reader) -> bool {
    let Some(header) = Header::recognise(bytes.clone().up_to(HEADER_LEN)) else {
        return false;
    };
    if bytes.skip(header.len.into()).is_err() {
        return true;
    }
    match bytes.left() {
        0..HEADER_LEN => Header::may_begin(bytes.rest()),
        _ => Header::recognise(bytes.up_to(HEADER_LEN)).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::ntlm;
    use crate::dissect::rpc::bind::Syntax;
    use crate::dissect::rpc::samples::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn claims(talk: &[Said]) -> Vec<Claim> {
        let (mut connection, mut found) = (Connection::default(), Vec::new());
        for said in talk {
            connection.feed(said.from, &said.bytes, &mut found);
        }
        found
    }

    fn claims_at_the_end(talk: &[Said]) -> Vec<Claim> {
        let (mut connection, mut found) = (Connection::default(), Vec::new());
        for said in talk {
            connection.feed(said.from, &said.bytes, &mut found);
        }
        found.clear();
        connection.finish(&mut found);
        connection.finish(&mut found);
        found
    }

    const CLIENT: Claim = Claim::ClientIs(Forward);

    #[test]
    fn an_accepted_context_is_a_binding() {
        let talk = [bind(1, &[(0, SAMR)]), bind_ack(1, &[ACCEPT])];
        assert_eq!(
            claims(&talk),
            [CLIENT, Claim::Offered(SAMR), Claim::Bound(SAMR)]
        );
    }

    #[test]
    fn each_side_states_its_version_of_ntlm_once() {
        let version = |build| ntlm::samples::challenge([10, 0], build);
        let talk = [
            bind(1, &[(0, SAMR)]),
            with_authentication(bind_ack(1, &[ACCEPT]), &version(17763)),
            with_authentication(auth3(1), &version(19041)),
            with_authentication(alter_context(2, &[(1, SAMR)]), &version(19041)),
        ];
        let said = |text: &str, by| Claim::Said {
            field: ntlm::VERSION,
            text: text.to_owned(),
            by,
        };
        let expected = [
            CLIENT,
            Claim::Offered(SAMR),
            Claim::Bound(SAMR),
            said("10.0.17763", Reverse),
            said("10.0.19041", Forward),
        ];
        assert_eq!(claims(&talk), expected);
    }

    #[test]
    fn a_rejected_context_is_not_a_binding() {
        let talk = [
            bind(1, &[(0, EPM), (1, DRSUAPI)]),
            bind_ack(1, &[ACCEPT, REJECT]),
        ];
        assert_eq!(
            claims(&talk),
            [
                CLIENT,
                Claim::Offered(EPM),
                Claim::Offered(DRSUAPI),
                Claim::Bound(EPM)
            ]
        );
    }

    #[test]
    fn a_bind_nak_binds_nothing() {
        let talk = [bind(1, &[(0, SAMR)]), bind_nak(1), request(2, 0, 5, b"")];
        assert_eq!(claims(&talk), [CLIENT, Claim::Offered(SAMR)]);
    }

    #[test]
    fn one_interface_in_several_syntaxes_is_bound_once() {
        let talk = [
            bind(1, &[(0, SAMR), (1, SAMR), (2, SAMR)]),
            bind_ack(1, &[REJECT, ACCEPT_NDR64, NEGOTIATED]),
        ];
        assert_eq!(
            claims(&talk),
            [CLIENT, Claim::Offered(SAMR), Claim::Bound(SAMR)]
        );
    }

    #[test]
    fn a_feature_agreed_upon_is_not_a_binding() {
        let talk = [bind(1, &[(0, SAMR)]), bind_ack(1, &[NEGOTIATED])];
        assert_eq!(claims(&talk), [CLIENT, Claim::Offered(SAMR)]);
    }

    #[test]
    fn an_altered_context_adds_an_interface() {
        let talk = [
            bind(1, &[(0, SAMR)]),
            bind_ack(1, &[ACCEPT]),
            alter_context(2, &[(1, DRSUAPI)]),
            alter_context_resp(2, &[ACCEPT]),
        ];
        let found = claims(&talk);
        assert_eq!(found.last(), Some(&Claim::Bound(DRSUAPI)));
    }

    #[test]
    fn an_answer_that_comes_before_its_bind_still_counts() {
        let talk = [bind_ack(1, &[ACCEPT]), bind(1, &[(0, SAMR)])];
        assert!(claims(&talk).contains(&Claim::Bound(SAMR)));
        let another_call = [bind_ack(1, &[ACCEPT]), bind(2, &[(0, SAMR)])];
        assert!(!claims(&another_call).contains(&Claim::Bound(SAMR)));
    }

    #[test]
    fn an_answered_call_proves_a_binding_whose_acknowledgement_was_not_seen() {
        let offered = bind(1, &[(0, SAMR)]);
        let answered = [
            offered.clone(),
            request(2, 0, 5, b"in"),
            response(2, 0, b"out"),
        ];
        assert!(claims(&answered).contains(&Claim::Bound(SAMR)));
        let called_twice = [
            offered.clone(),
            request(2, 0, 5, b""),
            request(3, 0, 6, b""),
        ];
        assert!(!claims(&called_twice).contains(&Claim::Bound(SAMR)));
        let of_another_call = [offered, request(2, 0, 5, b""), response(3, 0, b"out")];
        assert!(!claims(&of_another_call).contains(&Claim::Bound(SAMR)));
    }

    /// The same words, sent the other way.
    fn from_the_other_side(said: Said) -> Said {
        Said {
            from: said.from.reversed(),
            ..said
        }
    }

    #[test]
    fn what_a_client_says_in_its_servers_name_is_not_heard() {
        let answer = map_answer(&[tcp_tower(SAMR, 49154, [10, 77, 0, 10])], Syntax::Ndr);
        let talk = [
            bind(1, &[(0, EPM)]),
            from_the_other_side(bind_ack(1, &[ACCEPT])),
            request(2, 0, EPT_MAP, &[0; 120]),
            from_the_other_side(response(2, 0, &answer)),
        ];
        assert_eq!(claims(&talk), [CLIENT, Claim::Offered(EPM)]);
    }

    #[test]
    fn a_server_that_sends_back_what_it_is_sent_proves_nothing() {
        let talk = [
            bind(1, &[(0, SAMR)]),
            from_the_other_side(bind(1, &[(0, SAMR)])),
            from_the_other_side(bind_ack(1, &[ACCEPT])),
            bind_ack(1, &[ACCEPT]),
        ];
        assert_eq!(claims(&talk), [CLIENT, Claim::Offered(SAMR)]);
    }

    #[test]
    fn an_answer_that_nobody_was_seen_to_ask_for_maps_nothing() {
        let answer = map_answer(&[tcp_tower(SAMR, 49154, [10, 77, 0, 10])], Syntax::Ndr);
        let opened = [bind(1, &[(0, EPM)]), bind_ack(1, &[ACCEPT])];
        let bound = Claim::Bound(EPM);
        for answered in [2, 3] {
            let mut talk = opened.to_vec();
            if answered == 3 {
                talk.push(request(2, 0, EPT_MAP, &[0; 120]));
            }
            talk.push(response(answered, 0, &answer));
            assert_eq!(claims(&talk).last(), Some(&bound), "call {answered}");
        }
    }

    #[test]
    fn the_client_is_known_without_a_bind() {
        assert_eq!(claims(&[request(9, 4, 5, b"stub")]), [CLIENT]);
        assert_eq!(claims(&[response(9, 4, b"stub")]), [CLIENT]);
    }

    #[test]
    fn bytes_are_counted_by_the_interface_of_their_context() {
        let talk = [
            bind(1, &[(0, SAMR), (1, DRSUAPI)]),
            bind_ack(1, &[ACCEPT, ACCEPT]),
            request(2, 0, 5, &[0; 76]),
            response(2, 0, &[0; 176]),
            request(3, 1, 5, &[0; 1000 - 24]),
        ];
        let carried = |interface, bytes| Claim::Carried { interface, bytes };
        let mut expected = [carried(SAMR, 300), carried(DRSUAPI, 1000)];
        expected.sort_by_key(|claim| format!("{claim:?}"));
        let mut found = claims_at_the_end(&talk);
        found.sort_by_key(|claim| format!("{claim:?}"));
        assert_eq!(found, expected);
    }

    #[test]
    fn an_endpoint_mapper_answer_maps_an_interface() {
        let answer = map_answer(&[tcp_tower(SAMR, 49154, [10, 77, 0, 10])], Syntax::Ndr);
        let talk = [
            bind(1, &[(0, EPM)]),
            bind_ack(1, &[ACCEPT]),
            request(2, 0, EPT_MAP, &[0; 120]),
            response(2, 0, &answer),
        ];
        let mapped = mapped_tcp(SAMR, 49154, [10, 77, 0, 10]);
        assert_eq!(claims(&talk).last(), Some(&mapped));
    }

    #[test]
    fn an_answer_without_its_bind_maps_only_if_it_parses_to_its_end() {
        let answer = map_answer(&[tcp_tower(SAMR, 49154, [10, 77, 0, 10])], Syntax::Ndr);
        let mapped = mapped_tcp(SAMR, 49154, [10, 77, 0, 10]);
        let asked = request(2, 0, EPT_MAP, &[0; 120]);
        assert!(claims(&[asked.clone(), response(2, 0, &answer)]).contains(&mapped));
        let mut longer = answer.clone();
        longer.extend([0; 40]);
        assert!(!claims(&[asked, response(2, 0, &longer)]).contains(&mapped));
    }

    #[test]
    fn an_answer_to_another_call_is_not_read() {
        let answer = map_answer(&[tcp_tower(SAMR, 49154, [10, 77, 0, 10])], Syntax::Ndr);
        let mapped = mapped_tcp(SAMR, 49154, [10, 77, 0, 10]);
        let other_operation = [request(2, 0, 4, b""), response(2, 0, &answer)];
        assert!(!claims(&other_operation).contains(&mapped));
        let other_interface = [
            bind(1, &[(0, SAMR)]),
            bind_ack(1, &[ACCEPT]),
            request(2, 0, EPT_MAP, b""),
            response(2, 0, &answer),
        ];
        assert!(!claims(&other_interface).contains(&mapped));
    }

    #[test]
    fn an_answer_in_fragments_is_put_together() {
        let answer = map_answer(&[tcp_tower(SAMR, 49154, [10, 77, 0, 10])], Syntax::Ndr);
        let mapped = mapped_tcp(SAMR, 49154, [10, 77, 0, 10]);
        let (first, last) = answer.split_at(60);
        let mut connection = Connection::default();
        let mut found = Vec::new();
        for said in [
            bind(1, &[(0, EPM)]),
            bind_ack(1, &[ACCEPT]),
            request(2, 0, EPT_MAP, b""),
            fragment(2, 0, first, Place::First),
            fragment(2, 0, last, Place::Last),
        ] {
            connection.feed(said.from, &said.bytes, &mut found);
        }
        assert_eq!(found.last(), Some(&mapped));
        found.clear();
        let first = fragment(3, 0, first, Place::First);
        connection.feed(Reverse, &first.bytes, &mut found);
        connection.gap(Reverse, Some(100));
        let last = fragment(3, 0, last, Place::Last);
        connection.feed(Reverse, &last.bytes, &mut found);
        assert_eq!(found, [], "a fragment may be missing");
    }

    #[test]
    fn torn_at_every_byte_the_claims_are_the_same() {
        let answer = map_answer(&[tcp_tower(SAMR, 49154, [10, 77, 0, 10])], Syntax::Ndr);
        let talk = [
            bind(1, &[(0, EPM), (1, DRSUAPI)]),
            bind_ack(1, &[ACCEPT, REJECT]),
            request(2, 0, EPT_MAP, &[7; 120]),
            response(2, 0, &answer),
            request(3, 0, 9, &[5; 200]),
        ];
        let whole = claims(&talk);
        let bytes_at_once = talk
            .iter()
            .flat_map(|said| said.bytes.iter().map(|byte| said_by(said.from, &[*byte])));
        assert_eq!(claims(&bytes_at_once.collect::<Vec<_>>()), whole);
        for said in &talk {
            for cut in 0..said.bytes.len() {
                let torn = talk.iter().flat_map(|one| {
                    let cut = if std::ptr::eq(one, said) { cut } else { 0 };
                    let (left, right) = one.bytes.split_at(cut);
                    [said_by(one.from, left), said_by(one.from, right)]
                });
                assert_eq!(claims(&torn.collect::<Vec<_>>()), whole, "{cut}");
            }
        }
    }

    #[test]
    fn a_gap_within_a_body_loses_nothing() {
        let (mut connection, mut found) = (Connection::default(), Vec::new());
        let long = request(2, 0, 5, &[0; 5000]).bytes;
        let (captured, missing) = long.split_at(1000);
        connection.feed(Forward, captured, &mut found);
        connection.gap(Forward, Some(missing.len() as u64));
        connection.feed(Forward, &bind(3, &[(0, SAMR)]).bytes, &mut found);
        assert_eq!(found.last(), Some(&Claim::Offered(SAMR)));
    }

    #[test]
    fn after_a_gap_the_next_boundary_is_found() {
        let (mut connection, mut found) = (Connection::default(), Vec::new());
        connection.feed(Forward, &request(2, 0, 5, b"").bytes, &mut found);
        connection.gap(Forward, None);
        connection.feed(Forward, &[0x05; 300], &mut found);
        let mut rest_of_another = vec![0x77; 300];
        rest_of_another.extend(bind(3, &[(0, SAMR)]).bytes);
        connection.feed(Forward, &rest_of_another, &mut found);
        assert_eq!(found.last(), Some(&Claim::Offered(SAMR)));
    }

    #[test]
    fn a_stream_that_stays_without_boundary_is_given_up() {
        let (mut connection, mut found) = (Connection::default(), Vec::new());
        let rounds = (0..10_000).find(|_| {
            let progress = connection.feed(Forward, &[0x77; 1000], &mut found);
            progress == Progress::Done
        });
        assert_eq!(rounds, Some(1048));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut connection, mut found) = (Connection::default(), Vec::new());
        let opening = map_answer(&[tcp_tower(SAMR, 1, [0; 4])], Syntax::Ndr);
        for call in 0..2000 {
            let begun = fragment(call, 0, &[&opening[..], &[0; 4000]].concat(), Place::First);
            connection.feed(Reverse, &begun.bytes, &mut found);
            let asked = request(call, 7, EPT_MAP, b"");
            connection.feed(Forward, &asked.bytes, &mut found);
            let offered = bind(call, &[(call as u16, SAMR)]);
            connection.feed(Forward, &offered.bytes, &mut found);
        }
        assert!(connection.association.is_within_bounds());
    }
}
