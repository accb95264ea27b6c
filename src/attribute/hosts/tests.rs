use super::*;
use crate::attribute::samples;
use crate::dissect::text::BANNER;
use crate::model::packet::CaptureId;
use crate::model::time::Elapsed;
use crate::model::uuid::Interface;
use std::time::Duration;

const SERVER: Direction = Direction::Reverse;

fn said(text: &str, by: Direction) -> Claim {
    Claim::Said {
        field: BANNER,
        text: text.to_owned(),
        by,
    }
}

fn catalog() -> Catalog {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("signs.toml");
    let signs = [
        ("linux greets*", "system = \"Linux\""),
        ("windows greets*", "system = \"Windows 2000\""),
        ("samba greets*", "system = \"Samba\""),
        ("otherd*", "product = \"otherd\""),
    ];
    let text: String = (signs.iter())
        .map(|(text, tells)| {
            format!("[[sign]]\nfield = \"banner\"\ntext = \"{text}\"\n{tells}\nsource = \"x\"\n")
        })
        .collect();
    std::fs::write(&path, text).expect("a new file");
    Catalog::load(&[path], None).expect("no faults")
}

fn flow(claims: &[Claim], ttl: Option<u8>) -> EndedFlow {
    let mut flow = samples::flow(claims);
    flow.tuple.protocol = IpProtocol::TCP;
    flow.handshake = ttl.map(|_| Elapsed::new(Duration::from_micros(1)));
    flow.ttl = [Some(128), ttl];
    flow
}

/// What the server of such flows is taken for.
fn server_of(flows: &[EndedFlow]) -> (Option<String>, bool) {
    let catalog = catalog();
    let mut hosts = Hosts::with_share(1);
    for flow in flows {
        hosts.learn(flow, Direction::Forward, &catalog);
    }
    let server = flows[0].sender(SERVER).address;
    let name = hosts.system(server).map(|clue| clue.system.name.clone());
    (name, hosts.is_no_windows(server).is_some())
}

#[test]
fn the_hops_of_the_first_answer_tell_only_where_nothing_was_said() {
    let other = (Some("another system than Windows".to_owned()), true);
    assert_eq!(server_of(&[flow(&[], Some(64))]), other);
    assert_eq!(server_of(&[flow(&[], Some(255))]), other);
    assert_eq!(
        server_of(&[flow(&[], Some(117))]),
        (Some("Windows".into()), false)
    );
    assert_eq!(server_of(&[flow(&[], None)]), (None, false));
    let windows = flow(&[said("windows greets you", SERVER)], Some(64));
    assert_eq!(server_of(&[windows]), (Some("Windows 2000".into()), false));
}

/// A connection whose SYN was answered with these options and so many hops left.
fn answered(kinds: &[u8], ttl: Option<u8>) -> EndedFlow {
    let mut flow = flow(&[], ttl);
    flow.client = Some(Direction::Forward);
    flow.answer = TcpOptions::of(kinds);
    flow
}

const LINUX: &[u8] = &[2, 4, 8, 1, 3];
const WINDOWS: &[u8] = &[2, 1, 3, 1, 1, 4];

#[test]
fn the_order_of_the_options_tells_where_nothing_else_does() {
    let linux = (Some("Linux".to_owned()), true);
    assert_eq!(server_of(&[answered(LINUX, None)]), linux);
    let windows = (Some("Windows".to_owned()), false);
    assert_eq!(server_of(&[answered(LINUX, Some(117))]), windows, "by hops");
    assert_eq!(server_of(&[answered(WINDOWS, None)]), windows);
    let mut said = answered(LINUX, Some(64));
    said.evidence = flow(&[said_to_be_windows()], None).evidence;
    assert_eq!(server_of(&[said]), (Some("Windows 2000".into()), false));
}

#[test]
fn an_order_that_several_systems_have_tells_nothing() {
    for kinds in [&[2][..], &[2, 1, 1, 4], &[2, 1, 3, 4, 8], &[]] {
        assert_eq!(server_of(&[answered(kinds, None)]), (None, false));
    }
    let mut unsure = answered(WINDOWS, None);
    unsure.client = None;
    assert_eq!(server_of(&[unsure]), (None, false), "whose answer it was");
}

fn said_to_be_windows() -> Claim {
    said("windows greets you", SERVER)
}

#[test]
fn what_a_client_says_is_not_its_servers() {
    let flow = flow(&[said("linux greets you", Direction::Forward)], None);
    assert_eq!(server_of(&[flow]), (None, false));
}

#[test]
fn a_system_that_says_that_it_is_windows_and_linux_is_no_windows() {
    let flows = [
        flow(&[said("windows greets you", SERVER)], None),
        flow(&[said("linux greets you", SERVER)], None),
    ];
    assert_eq!(server_of(&flows), (Some("Linux".into()), true));
}

#[test]
fn what_stands_in_for_windows_is_called_that_and_keeps_its_ports() {
    let flows = [
        flow(&[said("linux greets you", SERVER)], Some(64)),
        flow(&[said("samba greets you", SERVER)], Some(64)),
    ];
    assert_eq!(server_of(&flows), (Some("Samba".into()), false));
}

#[test]
fn a_client_that_says_samba_does_not_stand_in_for_windows() {
    let catalog = catalog();
    let mut hosts = Hosts::with_share(1);
    let flow = flow(&[said("samba greets you", Direction::Forward)], None);
    hosts.learn(&flow, Direction::Forward, &catalog);
    let client = flow.sender(Direction::Forward).address;
    assert_eq!(hosts.system(client), None);
}

#[test]
fn who_answers_for_an_interface_of_windows_keeps_its_ports() {
    let samr = Interface::new(
        crate::model::uuid::Uuid::from_u128(0x12345778_1234_abcd_ef00_0123456789ac),
        1,
        0,
    );
    let flows = [
        flow(&[said("linux greets you", SERVER)], Some(64)),
        flow(&[Claim::Bound(samr)], Some(64)),
    ];
    assert_eq!(server_of(&flows), (Some("Windows or Samba".into()), false));
}

#[test]
fn a_product_is_the_listeners_and_says_nothing_of_the_host() {
    let catalog = catalog();
    let mut hosts = Hosts::with_share(1);
    let flow = flow(&[said("otherd 1.0", SERVER)], None);
    hosts.learn(&flow, Direction::Forward, &catalog);
    let server = flow.sender(SERVER);
    let product = |port| {
        let listener = hosts.listener(Peer { port, ..server }, IpProtocol::TCP);
        listener.map(|known| known.product.clone())
    };
    assert_eq!(product(server.port), Some("otherd".to_owned()));
    assert_eq!(product(server.port + 1), None);
    assert_eq!(hosts.system(server.address), None);
}

#[test]
fn hosts_clues_and_listeners_are_bounded_and_the_rest_counted() {
    let frame = Frame {
        capture: CaptureId(0),
        number: 1,
    };
    let show = |hosts: &mut Hosts, host: IpAddr, system: u32| {
        let system = System::named(&system.to_string());
        let seen = Seen {
            system: &system.name,
            system_kind: system.kind,
            weight: Weight::Said,
            kind: Field::new(&["k", "k"]),
            frame,
        };
        hosts.add(host, seen, String::new);
    };
    let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from(number));
    let mut hosts = Hosts::with_share(1);
    for number in 0..MAX_CLUES as u32 + 3 {
        show(&mut hosts, address(0), number);
    }
    assert_eq!(
        (hosts.clues(address(0)).len(), hosts.given_up),
        (MAX_CLUES, 3)
    );
    for number in 0..MAX_HOSTS as u32 + 2 {
        show(&mut hosts, address(number), 0);
    }
    assert_eq!((hosts.hosts.len(), hosts.given_up), (MAX_HOSTS, 5));
    for number in 0..MAX_LISTENERS as u32 + 4 {
        let peer = Peer {
            address: address(number),
            port: 80,
        };
        let listener = Listener {
            product: String::new(),
            frame,
        };
        hosts.listens(peer, IpProtocol::TCP, listener);
    }
    assert_eq!((hosts.listeners.len(), hosts.given_up), (MAX_LISTENERS, 9));
}
