//! Sessions by what they claim: pipes, shares, clues, and what is passed over.

use super::*;
use crate::dissect::rpc::bind::Syntax;
use crate::dissect::rpc::samples::{
    ACCEPT, EPM, EPT_MAP, SAMR, bind, bind_ack, map_answer, mapped_tcp, request, response,
    tcp_tower,
};
use crate::dissect::smb::samples::{Said, framed, one, two};
use crate::model::evidence::Direction::{Forward, Reverse};
use crate::model::evidence::PipeUse;

fn claims(talk: &[Said]) -> Vec<Claim> {
    let (mut session, mut found) = (Session::default(), Vec::new());
    for (from, bytes) in talk {
        session.feed(*from, bytes, &mut found);
    }
    session.finish(&mut found);
    found
}

fn asked() -> Vec<u8> {
    bind(1, &[(0, SAMR)]).bytes
}

fn answered() -> Vec<u8> {
    bind_ack(1, &[ACCEPT]).bytes
}

fn version2() -> Vec<Said> {
    vec![
        two::connected(2),
        two::create(2, "samr"),
        two::created(2, 0),
        two::write(3, &asked()),
        two::read(4),
        two::was_read(4, &answered()),
        two::transceive(Forward, 5, &request(2, 0, 5, &[0; 76]).bytes),
        two::transceive(Reverse, 5, &response(2, 0, &[0; 76]).bytes),
        two::close(6),
    ]
}

fn version1() -> Vec<Said> {
    vec![
        one::connected(b"IPC\0"),
        one::create(2, "\\samr"),
        one::created(2, 2),
        one::write(3, &asked()),
        one::read(4),
        one::was_read(4, &answered()),
        one::transact(5, &request(2, 0, 5, &[0; 76]).bytes),
        one::transacted(5, &response(2, 0, &[0; 76]).bytes),
    ]
}

fn bound() -> Claim {
    Claim::BoundInPipe {
        interface: SAMR,
        pipe: Some("samr".into()),
    }
}

/// What the sessions claim whose messages, with their frames, have so many bytes from the
/// opening of the pipe on.
fn expected(bytes: usize) -> Vec<Claim> {
    vec![
        Claim::OpenedPipe("samr".into()),
        Claim::Offered(SAMR),
        bound(),
        Claim::CarriedInPipe {
            of: Box::new(PipeUse {
                pipe: Some("samr".into()),
                interface: Some(SAMR),
            }),
            bytes: bytes as u64,
        },
    ]
}

fn bytes(talk: &[Said]) -> usize {
    talk.iter().map(|(_, message)| message.len()).sum()
}

#[test]
fn the_rpc_inside_a_pipe_is_followed() {
    for talk in [version1(), version2()] {
        assert_eq!(claims(&talk), expected(bytes(&talk[1..])));
    }
}

#[test]
fn torn_at_every_byte_the_claims_are_the_same() {
    for talk in [version1(), version2()] {
        let bytes = talk
            .iter()
            .flat_map(|(from, bytes)| bytes.iter().map(|byte| (*from, vec![*byte])));
        let whole = claims(&talk);
        assert_eq!(claims(&bytes.collect::<Vec<_>>()), whole);
    }
}

#[test]
fn messages_that_are_chained_to_the_opening_of_a_pipe_are_followed() {
    let talk = [
        two::connected(2),
        two::chained(&[
            two::create(2, "samr"),
            two::write(3, &asked()),
            two::read(4),
            two::close(5),
        ]),
        two::pending(8, 4),
        two::chained(&[
            two::created(2, 0),
            two::was_read(4, &answered()),
            two::closed(5),
        ]),
    ];
    let found = claims(&talk);
    assert!(found.contains(&bound()), "{found:?}");
    let carried = found.iter().find_map(|claim| match claim {
        Claim::CarriedInPipe { bytes, .. } => Some(*bytes as usize),
        _ => None,
    });
    // The write came before it was known whose it is.
    let written = 64 + 48 + asked().len().next_multiple_of(8);
    assert!(carried.is_some_and(|carried| carried + written >= bytes(&talk[1..])));
}

#[test]
fn the_same_numbers_in_two_sessions_are_two_files() {
    let one = [
        two::connected(2),
        two::create(2, "samr"),
        two::created(2, 0),
    ];
    let other = [
        two::connected(1),
        two::create(3, "a.txt"),
        two::created(3, 0),
    ];
    let talk: Vec<_> = (one.into_iter().map(|said| two::in_session(1, said)))
        .chain(other.into_iter().map(|said| two::in_session(2, said)))
        .chain([
            two::in_session(1, two::write(4, &asked())),
            two::in_session(2, two::write(5, b"text")),
            two::in_session(1, two::read(6)),
            two::in_session(1, two::was_read(6, &answered())),
        ])
        .collect();
    assert!(claims(&talk).contains(&bound()));
}

#[test]
fn a_pipe_is_called_by_its_name_alone() {
    let talk = [
        one::connected(b"IPC\0"),
        one::transaction(3, 0x54, "\\PIPE\\samr", &asked()),
        one::transacted(3, &answered()),
    ];
    assert_eq!(
        claims(&talk)[..3],
        [
            Claim::Offered(SAMR),
            Claim::OpenedPipe("samr".into()),
            bound(),
        ]
    );
    let unanswered = [Claim::Offered(SAMR), Claim::AskedForPipe("samr".into())];
    assert_eq!(claims(&talk[..2]), unanswered);
}

#[test]
fn every_way_to_write_to_a_pipe_and_to_read_from_it_is_followed() {
    let (asked, answered) = (asked(), answered());
    let (begun, rest) = asked.split_at(20);
    let raw = [
        &one::raw_write(3, begun, rest)[..],
        &one::raw_read(4, &answered),
    ]
    .concat();
    let raw_alone = [
        &one::raw_write(3, &[], &asked)[..],
        &one::raw_read(4, &answered),
    ]
    .concat();
    let ways: [&[Said]; 8] = [
        &raw,
        &raw_alone,
        &[
            one::transaction(3, 0x31, "", &asked),
            one::transaction(4, 0x11, "", &[]),
            one::transacted(4, &answered),
        ],
        &[
            one::transaction(3, 0x37, "", &asked),
            one::transaction(4, 0x36, "", &[]),
            one::transacted(4, &answered),
        ],
        &[
            one::transact(3, begun),
            one::go_on(3),
            one::secondary(3, rest),
            one::part_of_answer(3, &answered, 0, 9),
            one::part_of_answer(3, &answered, 9, answered.len()),
        ],
        &[
            one::old_write(3, &asked),
            one::old_read(4),
            one::old_was_read(4, &answered),
        ],
        &[
            one::write_and_unlock(3, &asked),
            one::lock_and_read(4),
            one::locked_and_was_read(4, &answered),
        ],
        &[
            one::write(3, begun),
            one::write(4, rest),
            one::read(5),
            one::was_read(5, &answered),
        ],
    ];
    for (way, messages) in ways.iter().enumerate() {
        for open in [
            [one::create(2, "\\samr"), one::created(2, 2)],
            [one::old_open(2, "\\PIPE\\samr"), one::old_opened(2)],
            one::nt_create(2, "\\samr", 2),
        ] {
            let talk = [&[one::connected(b"IPC\0")], &open[..], messages].concat();
            assert_eq!(claims(&talk), expected(bytes(&talk[1..])), "way {way}");
        }
    }
}

#[test]
fn a_write_may_close_its_pipe() {
    let mut talk = version1()[..6].to_vec();
    let call = request(2, 0, 5, &[0; 76]).bytes;
    talk.extend(one::write_and_close(5, &call));
    let of_pipe = bytes(&talk[1..]);
    // What has the file's number now is not the pipe.
    talk.extend([one::read(6), one::was_read(6, b"text")]);
    assert_eq!(claims(&talk), expected(of_pipe));

    let mut talk = version1()[..3].to_vec();
    talk.extend(one::write_and_close(3, &asked()));
    assert!(claims(&talk).contains(&Claim::Offered(SAMR)));
}

#[test]
fn a_pipe_is_opened_in_a_tree_that_the_core_dialect_connected() {
    let opening = [one::old_open(2, "\\PIPE\\samr"), one::old_opened(2)];
    let rpc = [
        one::old_write(3, &asked()),
        one::old_read(4),
        one::old_was_read(4, &answered()),
    ];
    let pipe = [&opening[..], &rpc].concat();
    let share = |path: &str| Claim::Said {
        field: clues::SHARE,
        text: path.to_owned(),
        by: Forward,
    };
    for path in ["\\\\srv1\\IPC$", "\\\\srv1\\ipc$"] {
        let talk = [&one::core_tree_connect(1, path)[..], &pipe].concat();
        let found = claims(&talk);
        assert_eq!(found[0], share(path));
        assert_eq!(found[1..5], expected(bytes(&pipe)));
    }
    let path = "\\\\srv1\\public";
    let talk = [&one::core_tree_connect(1, path)[..], &pipe].concat();
    assert_eq!(claims(&talk)[0], share(path));
    assert!(!claims(&talk).contains(&Claim::OpenedPipe("samr".into())));
}

#[test]
fn raw_bytes_of_a_file_are_passed_over_and_the_messages_after_them_are_found() {
    let disk = one::core_tree_connect(1, "\\\\srv1\\public");
    let mut talk = disk.to_vec();
    talk.extend(one::raw_write(2, &[], &asked()));
    talk.extend(one::raw_read(3, &answered()));
    talk.extend(one::raw_read(4, b""));
    talk.extend(one::raw_read(5, &[0x5a; 60_000]));
    let of_file = claims(&talk).len();
    assert_eq!(of_file, claims(&disk).len());
    talk.extend(version1());
    assert!(claims(&talk).contains(&bound()));
}

#[test]
fn bytes_without_a_header_are_nobodys_where_none_were_asked_for() {
    let mut talk = version1()[..3].to_vec();
    talk.push((Forward, framed(&asked())));
    talk.extend([one::raw_write(3, &[], &[])[0].clone(), one::read(4)]);
    talk.push((Forward, framed(&asked())));
    talk.push((Reverse, framed(&answered())));
    assert!(!claims(&talk).contains(&Claim::Offered(SAMR)));
}

#[test]
fn a_file_is_not_a_pipe() {
    let mut on_disk = version2();
    on_disk[0] = two::connected(1);
    assert!(!claims(&on_disk).contains(&Claim::OpenedPipe("samr".into())));
    let mut on_disk = version1();
    on_disk[0] = one::connected(b"A:\0");
    assert!(!claims(&on_disk).contains(&Claim::OpenedPipe("samr".into())));
    on_disk.extend(one::nt_create(8, "\\samr", 0));
    assert!(!claims(&on_disk).contains(&Claim::OpenedPipe("samr".into())));
}

#[test]
fn a_pipe_that_could_not_be_opened_is_not_claimed() {
    let access_denied = 0xc000_0022;
    let talk = [
        two::connected(2),
        two::create(2, "svcctl"),
        two::created(2, access_denied),
    ];
    assert_eq!(claims(&talk), [Claim::RefusedPipe("svcctl".into())]);
    let asked = [Claim::AskedForPipe("svcctl".into())];
    assert_eq!(claims(&talk[..2]), asked, "no answer was seen");
}

#[test]
fn a_pipe_in_a_tree_connected_before_the_capture_is_known_by_its_rpc() {
    let talk = version2();
    assert_eq!(claims(&talk[1..]), expected(bytes(&talk[1..])));
    let no_rpc = [
        two::create(2, "a.txt"),
        two::created(2, 0),
        two::write(3, b"text"),
    ];
    assert_eq!(claims(&no_rpc), []);
}

#[test]
fn a_pipe_opened_before_the_capture_is_known_by_its_rpc() {
    let talk = version2();
    let found = claims(&talk[3..]);
    let bound = Claim::BoundInPipe {
        interface: SAMR,
        pipe: None,
    };
    assert_eq!(found[..2], [Claim::Offered(SAMR), bound]);
}

#[test]
fn what_looks_like_a_pipe_tells_of_others_once_the_server_uses_it_as_one() {
    let stub = map_answer(&[tcp_tower(SAMR, 49154, [10, 0, 0, 1])], Syntax::Ndr);
    let mapped = mapped_tcp(SAMR, 49154, [10, 0, 0, 1]);
    let (asks, answers) = (request(2, 0, EPT_MAP, &[0; 120]), response(2, 0, &stub));
    let bound = [
        two::create(2, "epmapper"),
        two::created(2, 0),
        two::write(3, &bind(1, &[(0, EPM)]).bytes),
        two::read(4),
        two::was_read(4, &answered()),
    ];
    let as_file = [
        two::write(5, &asks.bytes),
        two::read(6),
        two::was_read(6, &answers.bytes),
    ];
    let as_pipe = [
        two::transceive(Forward, 5, &asks.bytes),
        two::transceive(Reverse, 5, &answers.bytes),
    ];
    let connected = [two::connected(2)];
    assert!(!claims(&[&bound[..], &as_file].concat()).contains(&mapped));
    assert!(claims(&[&bound[..], &as_pipe].concat()).contains(&mapped));
    assert!(claims(&[&connected[..], &bound, &as_file].concat()).contains(&mapped));
}

/// What peers said, in which field.
fn told(talk: &[Said]) -> Vec<(&'static str, String, Direction)> {
    let said = claims(talk).into_iter().filter_map(|claim| match claim {
        Claim::Said { field, text, by } => Some((field.name(), text, by)),
        _ => None,
    });
    said.collect()
}

fn one_said(field: &'static str, text: &str, by: Direction) -> (&'static str, String, Direction) {
    (field, text.to_owned(), by)
}

#[test]
fn a_share_is_told_when_it_is_connected_and_when_it_is_refused() {
    let path = "\\\\dc1\\SYSVOL";
    for (status, field) in [(0, "smb-share"), (0xc000_00cc, "smb-share-refused")] {
        let talk = [two::tree_connect(3, path), two::tree_connected(3, status)];
        assert_eq!(told(&talk), [one_said(field, path, Forward)]);
        let asked = one_said("smb-share-asked", path, Forward);
        assert_eq!(told(&talk[..1]), [asked]);
    }
}

#[test]
fn a_negotiation_tells_dialects_and_the_system_of_the_server() {
    let challenge = [
        b"NTLMSSP\0\x02\0\0\0".as_slice(),
        &[0; 8],
        &[0, 0, 0, 2],
        &[0; 24],
        &[6, 1, 0xb1, 0x1d, 0, 0, 0, 15],
    ]
    .concat();
    let expected = [
        one_said("smb-dialects-offered", "2.0.2 3.1.1", Forward),
        one_said("smb-dialect", "3.1.1", Reverse),
        one_said("ntlm-version", "6.1.7601", Reverse),
        one_said("smb-encryption", "AES-256-GCM", Forward),
    ];
    let mut talk = vec![two::negotiate(), two::negotiated(&challenge)];
    let hidden = [b"\xfdSMB".as_slice(), &[0x5a; 200]].concat();
    talk.extend([(Forward, framed(&hidden)), (Forward, framed(&hidden))]);
    assert_eq!(told(&talk), expected);
    for cut in 1..talk[1].1.len() - 4 {
        let message = &talk[1].1[4..4 + cut];
        let cut = [talk[0].clone(), (Reverse, framed(message))];
        assert!(told(&cut).iter().all(|one| expected.contains(one)));
    }
}

#[test]
fn what_is_encrypted_or_compressed_is_passed_over_and_said() {
    let hidden = [b"\xfdSMB".as_slice(), &[0x5a; 5000]].concat();
    let packed = [b"\xfcSMB\0\x10\0\0\x03\0\0\0".as_slice(), &[0x5a; 5000]].concat();
    let mut talk = vec![(Forward, framed(&hidden)), (Reverse, framed(&packed))];
    talk.extend(version2());
    let found = claims(&talk);
    assert!(found.contains(&bound()));
    let expected = [
        one_said("smb-encryption", "unknown cipher", Forward),
        one_said("smb-compression", "LZ77+Huffman", Reverse),
    ];
    assert_eq!(told(&talk), expected);
}

#[test]
fn a_set_up_in_smb_1_names_systems_and_a_call_to_lan_manager_its_function() {
    let [asked, answered] = one::negotiate();
    let [called, returned] = one::rap(4, 104);
    let [referral, referred] = one::referral(5, "\\dc1\\dfs");
    let talk = [
        asked,
        answered,
        one::set_up("Windows 5.1", "Windows 2000 LAN Manager"),
        one::connected(b"IPC\0"),
        called,
        returned,
        referral,
        referred,
        one::send_message(6),
    ];
    let dialects = "PC NETWORK PROGRAM 1.0, NT LM 0.12";
    let expected = [
        one_said("smb-dialects-offered", dialects, Forward),
        one_said("smb-dialect", "NT LM 0.12", Reverse),
        one_said("smb-native-os", "Windows 5.1", Reverse),
        one_said("smb-native-lanman", "Windows 2000 LAN Manager", Reverse),
        one_said("rap-function", "104", Forward),
        one_said("dfs-referral", "\\dc1\\dfs", Forward),
        one_said("smb-message", "0xd5", Forward),
    ];
    assert_eq!(told(&talk), expected);
}

#[test]
fn a_referral_is_told_in_both_forms_of_its_request() {
    for control in [0x0006_0194, 0x0006_01b0] {
        let talk = two::referral(3, control, "\\office.example\\dfs");
        let expected = one_said("dfs-referral", "\\office.example\\dfs", Forward);
        assert_eq!(told(&talk), [expected]);
        assert_eq!(told(&talk[..1]), [], "no answer");
        let carried = claims(&talk).into_iter().find_map(|claim| match claim {
            Claim::CarriedFor { bytes, .. } => Some(bytes as usize),
            _ => None,
        });
        assert_eq!(carried, Some(bytes(&talk)));
    }
}

#[test]
fn messages_cut_anywhere_say_nothing_that_the_whole_do_not() {
    let talk: Vec<_> = (version1().into_iter().chain(version2()))
        .chain(one::rap(8, 104))
        .chain(one::nt_create(7, "\\samr", 2))
        .chain(one::negotiate())
        .chain(two::referral(9, 0x0006_0194, "\\dc1\\dfs"))
        .chain([
            two::tree_connect(7, "\\\\dc1\\IPC$"),
            one::set_up("Unix", "Samba"),
        ])
        .collect();
    for (from, whole) in &talk {
        for len in 0..whole.len() - 4 {
            let cut = framed(&whole[4..4 + len]);
            claims(&[(*from, cut)]);
        }
    }
}

#[test]
fn file_data_are_passed_over_without_being_kept() {
    let (mut session, mut found) = (Session::default(), Vec::new());
    let (from, long) = two::write(3, &[0x05; 1 << 20]);
    let (head, rest) = long.split_at(70_000);
    session.feed(from, head, &mut found);
    assert!(session.streams[0].pending.len() < HEAD_LEN);
    let (_, rest) = rest.split_at(900_000);
    session.gap(from, Some(900_000));
    session.feed(from, rest, &mut found);
    for (from, bytes) in version2() {
        session.feed(from, &bytes, &mut found);
    }
    assert!(found.contains(&bound()));
}

#[test]
fn after_a_gap_the_next_message_is_found() {
    let (mut session, mut found) = (Session::default(), Vec::new());
    for direction in [Forward, Reverse] {
        session.feed(direction, &[0, 0, 0x20, 0, 0xfe], &mut found);
        session.gap(direction, None);
        session.feed(direction, &[0xfe; 700], &mut found);
    }
    for (from, bytes) in version2() {
        session.feed(from, &bytes, &mut found);
    }
    assert!(found.contains(&bound()));
}

#[test]
fn a_netbios_session_claims_smb_when_it_comes() {
    let (mut session, mut found) = (Session::before_smb(), Vec::new());
    session.feed(Forward, &[0x81, 0, 0, 4, 1, 2, 3, 4], &mut found);
    session.feed(Reverse, &[0x82, 0, 0, 0], &mut found);
    assert_eq!(found, []);
    for (from, bytes) in version1() {
        session.feed(from, &bytes, &mut found);
    }
    let claimed = found
        .iter()
        .filter(|claim| **claim == Claim::Speaks(PROTOCOL));
    assert_eq!(claimed.count(), 1);
    assert_eq!(found.first(), Some(&Claim::Speaks(PROTOCOL)));
}

#[test]
fn what_is_no_message_is_given_up_within_a_bound() {
    let (mut session, mut found) = (Session::default(), Vec::new());
    let rounds =
        (0..100_000).find(|_| session.feed(Forward, &[0x77; 1000], &mut found) == Progress::Done);
    assert!(rounds.is_some_and(|rounds| rounds < 5000));
}

#[test]
fn chained_messages_that_lead_nowhere_end() {
    let (from, create) = two::create(2, "samr");
    let mut message = create.get(4..).unwrap_or_default().to_vec();
    for next in [1u32, 63, 64, 65, u32::MAX] {
        message[20..24].copy_from_slice(&next.to_le_bytes());
        claims(&[(from, framed(&message))]);
    }
}

#[test]
fn of_a_file_that_is_copied_only_the_head_is_kept() {
    let mut session = Session::default();
    for (from, bytes) in [two::read(4), two::was_read(4, &[7; 60_000])] {
        session.feed(from, &bytes[..bytes.len() - 1], &mut Vec::new());
        let kept = &session.streams[from.index()];
        assert!(kept.pending.len() <= HEAD_LEN, "{}", kept.pending.len());
        session.feed(from, &bytes[bytes.len() - 1..], &mut Vec::new());
    }
    assert!(session.streams.iter().all(|stream| stream.lost() == 0));
}
