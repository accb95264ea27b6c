//! The built-in catalog's facts, and what a user's files do to them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use wiretag::catalog::{Catalog, Fact, Listens, Origin, PortRange};
use wiretag::dissect;
use wiretag::model::five_tuple::IpProtocol;
use wiretag::model::netbios::{NameKind, NetbiosName};
use wiretag::model::uuid::{Interface, Uuid};

const TCP: IpProtocol = IpProtocol::TCP;
const UDP: IpProtocol = IpProtocol::UDP;

fn uuid(text: &str) -> Uuid {
    text.parse().expect("well formed")
}

/// The id of the service by this name.
fn id_of<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c str> {
    let service = catalog.find(name)?;
    Some(&catalog.service(service).id)
}

fn interface_name<'c>(catalog: &'c Catalog, of: &str, version: (u16, u16)) -> Option<&'c str> {
    let interface = Interface::new(uuid(of), version.0, version.1);
    catalog.interface(interface, None)?.name.as_deref()
}

fn pipe_owner<'c>(catalog: &'c Catalog, pipe: &str) -> Option<&'c str> {
    let service = catalog.pipe(pipe)?.service?;
    Some(&catalog.service(service).id)
}

/// Files with these texts, and the catalog or the faults that come of them.
fn load(texts: &[&str]) -> Result<Catalog, Vec<String>> {
    let folder = TempDir::new().expect("a temporary folder");
    let paths: Vec<PathBuf> = (texts.iter().enumerate())
        .map(|(at, text)| {
            let path = folder.path().join(format!("{at}.toml"));
            fs::write(&path, text).expect("a new file");
            path
        })
        .collect();
    let before = format!("{}/", folder.path().display());
    Catalog::load(&paths, Some(&dissect::vocabulary())).map_err(|faults| {
        let lines = faults.to_string();
        lines.lines().map(|l| l.replace(&before, "")).collect()
    })
}

fn faults(text: &str) -> Vec<String> {
    load(&[text]).err().unwrap_or_default()
}

#[test]
fn the_built_in_files_use_words_that_dissectors_tell() {
    let words = dissect::vocabulary();
    assert!(Catalog::load(&[], Some(&words)).is_ok());
}

#[test]
fn the_founding_article_has_62_services_and_172_rows() {
    let catalog = Catalog::built_in();
    let founding: Vec<_> = (catalog.services())
        .filter(|(_, s)| s.origin == Origin::Founding)
        .collect();
    assert_eq!(founding.len(), 62);
    assert!(founding.iter().all(|(_, s)| s.about.is_some()));
    let rows = founding.iter().flat_map(|(_, s)| &s.ports);
    // A row with a source of its own was added to the article's.
    let rows: Vec<_> = rows.filter(|row| row.source.is_none()).collect();
    assert_eq!(rows.len(), 172);
    let dynamic = rows.iter().filter(|r| matches!(r.at, Listens::Dynamic(_)));
    assert_eq!(dynamic.count(), 16);
    let ip: Vec<u8> = (rows.iter())
        .filter_map(|r| match r.at {
            Listens::Ip(protocol) => Some(protocol.0),
            _ => None,
        })
        .collect();
    assert_eq!(ip, [47, 51, 50]);
}

#[test]
fn a_built_in_row_is_the_founding_articles_or_has_a_source_of_its_own() {
    let catalog = Catalog::built_in();
    for (_, service) in catalog.services() {
        let article = service.source == "Microsoft KB 832017";
        assert_eq!(
            article,
            service.origin == Origin::Founding,
            "{}",
            service.id
        );
        for row in &service.ports {
            let added = (row.source.as_deref()).is_some_and(|source| !source.trim().is_empty());
            assert!(article || added, "{} {}", service.id, row.at);
        }
    }
}

#[test]
fn no_id_and_no_row_stands_twice_whatever_the_case() {
    let catalog = Catalog::built_in();
    let mut ids = HashSet::new();
    for (_, service) in catalog.services() {
        assert!(
            ids.insert(service.id.to_ascii_lowercase()),
            "{}",
            service.id
        );
        let mut rows = HashSet::new();
        for row in &service.ports {
            let application = row.application.to_ascii_lowercase();
            assert!(
                rows.insert((row.at, application)),
                "{} {}",
                service.id,
                row.at
            );
        }
    }
}

#[test]
fn todays_windows_listens_on_ports_that_the_founding_article_lacks() {
    let catalog = Catalog::built_in();
    for (protocol, port, id) in [
        (UDP, 443, "W3SVC"),
        (TCP, 464, "kdc"),
        (UDP, 464, "kdc"),
        (UDP, 547, "DHCPServer"),
        (TCP, 587, "Exchange"),
        (TCP, 647, "DHCPServer"),
        (TCP, 808, "NetTcpPortSharing"),
        (UDP, 1434, "SQLBrowser"),
        (TCP, 1434, "MSSQLSERVER"),
        (TCP, 1688, "sppsvc"),
        (TCP, 2049, "NfsService"),
        (TCP, 2179, "vmms"),
        (TCP, 2382, "SQLBrowser"),
        (TCP, 2383, "MSSQLServerOLAPService"),
        (TCP, 2701, "Wuser32"),
        (TCP, 3260, "WinTarget"),
        (TCP, 3343, "ClusSvc"),
        (UDP, 3389, "TermService"),
        (UDP, 3391, "TSGateway"),
        (UDP, 3544, "iphlpsvc"),
        (UDP, 3702, "FDResPub"),
        (TCP, 5022, "MSSQLSERVER"),
        (UDP, 5353, "Dnscache"),
        (UDP, 5355, "Dnscache"),
        (TCP, 5357, "FDResPub"),
        (TCP, 5445, "lanmanserver"),
        (TCP, 5722, "DFSR"),
        (TCP, 5723, "HealthService"),
        (TCP, 5985, "WinRM"),
        (TCP, 5986, "WinRM"),
        (TCP, 6516, "ServerManagementGateway"),
        (TCP, 6600, "vmms"),
        (TCP, 7680, "DoSvc"),
        (TCP, 8005, "CcmExec"),
        (TCP, 8530, "WsusService"),
        (TCP, 8531, "WsusService"),
        (TCP, 9389, "ADWS"),
        (TCP, 10123, "SMS_EXECUTIVE"),
        (TCP, 32843, "SharePoint"),
        (TCP, 49443, "adfssrv"),
    ] {
        let uses = catalog.port(protocol, port);
        let listener = uses.first().map(|u| catalog.service(u.service).id.as_str());
        assert_eq!(listener, Some(id), "{port}/{protocol}");
    }
}

#[test]
fn a_port_that_the_founding_article_gives_to_one_service_stays_its_alone_but_for_one() {
    let catalog = Catalog::built_in();
    let mut shared = HashSet::new();
    for (_, service) in catalog.services() {
        let article = service
            .ports
            .iter()
            .filter(|row| row.source.is_none() && !row.quirk);
        for row in article {
            let Listens::Port(protocol, port) = row.at else {
                continue;
            };
            let uses = catalog.port(protocol, port);
            let services = |added: bool| {
                let of = uses.iter().filter(|u| {
                    let rows = &catalog.service(u.service).ports;
                    (rows.iter()).any(|r| r.at == row.at && r.source.is_some() == added)
                });
                of.map(|u| u.service).collect::<HashSet<_>>().len()
            };
            if services(false) == 1 && services(true) > 0 {
                shared.insert(row.at.to_string());
            }
        }
    }
    assert_eq!(shared, HashSet::from(["2701/tcp".to_owned()]));
}

#[test]
fn services_known_by_their_interfaces_alone_are_found() {
    let catalog = Catalog::built_in();
    for (name, id) in [
        ("Task Scheduler", "Schedule"),
        ("WMI", "Winmgmt"),
        ("services.exe", "SCM"),
        ("Remote Registry", "RemoteRegistry"),
        ("Windows Event Log", "Eventlog"),
        ("Virtual Disk", "vds"),
        ("Workstation", "LanmanWorkstation"),
        ("Encrypting File System (EFS)", "EFS"),
    ] {
        assert_eq!(id_of(&catalog, name), Some(id), "{name}");
        let service = catalog.find(name).expect("it was found");
        let exported = (catalog.interfaces().iter()).any(|entry| entry.service == Some(service));
        assert!(exported, "{name}");
        assert!(catalog.service(service).about.is_some(), "{name}");
    }
}

#[test]
fn rows_that_do_not_occur_on_the_wire_are_kept_and_marked() {
    let catalog = Catalog::built_in();
    let mut quirks: Vec<(String, &str)> = (catalog.services())
        .flat_map(|(_, s)| s.ports.iter().map(|row| (row, s.id.as_str())))
        .filter(|(row, _)| row.quirk)
        .map(|(row, id)| (row.at.to_string(), id))
        .collect();
    quirks.sort();
    let expected = [
        ("25/udp", "Exchange"),
        ("25/udp", "SMTPSVC"),
        ("42/udp", "WINS"),
        ("636/udp", "LSASS"),
    ];
    assert_eq!(quirks, expected.map(|(at, id)| (at.to_owned(), id)));
    assert!(catalog.port(UDP, 25).iter().all(|u| u.quirk && !u.listener));
}

#[test]
fn windows_time_is_on_udp_alone() {
    let catalog = Catalog::built_in();
    assert!(catalog.port(TCP, 123).is_empty());
    let uses = catalog.port(UDP, 123);
    assert_eq!(uses.len(), 2);
    assert!(uses.iter().all(|u| u.listener && !u.shared));
}

#[test]
fn every_id_alias_and_display_name_finds_its_service_in_any_case() {
    let catalog = Catalog::built_in();
    for (id, service) in catalog.services() {
        let names = service.aliases.iter().chain([&service.id]);
        for name in names {
            assert_eq!(catalog.find(name), Some(id), "{name}");
            assert_eq!(catalog.find(&name.to_uppercase()), Some(id), "{name}");
        }
        assert!(catalog.find(&service.name).is_some(), "{}", service.name);
    }
    for (name, id) in [
        ("SSDPRSR", "SSDPSRV"),
        ("ClusVC", "ClusSvc"),
        ("One Point", "OnePoint"),
        ("MSSQLServer", "MSSQLSERVER"),
        ("LanmanServer", "lanmanserver"),
        ("MSExchangeIS", "Exchange"),
        ("MSExchangeSA", "Exchange"),
        ("MSExchangeDS", "Exchange"),
        ("TSSDIS", "Tssdis"),
        ("print spooler", "Spooler"),
    ] {
        assert_eq!(id_of(&catalog, name), Some(id), "{name}");
    }
    assert_eq!(catalog.find("no such service"), None);
}

#[test]
fn each_shared_port_has_exactly_one_listener_and_it_comes_first() {
    let catalog = Catalog::built_in();
    let mut listed: HashMap<(IpProtocol, u16), HashSet<&str>> = HashMap::new();
    for (_, service) in catalog.services() {
        for row in service.ports.iter().filter(|row| !row.quirk) {
            if let Listens::Port(protocol, port) = row.at {
                listed
                    .entry((protocol, port))
                    .or_default()
                    .insert(&service.id);
            }
        }
    }
    let shared = listed.iter().filter(|(_, services)| services.len() > 1);
    assert_eq!(shared.count(), 23);
    for ((protocol, port), services) in listed {
        let uses = catalog.port(protocol, port);
        let listeners: HashSet<_> = (uses.iter().filter(|u| u.listener))
            .map(|u| u.service)
            .collect();
        assert_eq!(listeners.len(), 1, "{port}/{protocol}");
        assert!(uses[0].listener, "{port}/{protocol}");
        assert!(uses.iter().all(|u| u.shared == (services.len() > 1)));
        assert!(uses.is_sorted_by_key(|u| u.quirk), "{port}/{protocol}");
    }
}

#[test]
fn the_listeners_are_those_that_own_the_sockets() {
    let catalog = Catalog::built_in();
    for (protocol, port, id) in [
        (TCP, 21, "MSFtpSvc"),
        (TCP, 80, "W3SVC"),
        (TCP, 135, "RpcSs"),
        (UDP, 138, "Browser"),
        (TCP, 139, "lanmanserver"),
        (TCP, 389, "LSASS"),
        (TCP, 445, "lanmanserver"),
        (TCP, 593, "RpcSs"),
        (TCP, 3389, "TermService"),
    ] {
        let uses = catalog.port(protocol, port);
        assert_eq!(catalog.service(uses[0].service).id, id, "{port}");
    }
}

#[test]
fn ip_protocols_47_50_and_51_are_routing_and_remote_access() {
    let catalog = Catalog::built_in();
    for protocol in [IpProtocol::GRE, IpProtocol::ESP, IpProtocol::AH] {
        let uses = catalog.ip_protocol(protocol);
        assert_eq!(uses.len(), 1);
        assert_eq!(catalog.service(uses[0].service).id, "RemoteAccess");
    }
    assert!(catalog.ip_protocol(IpProtocol(41)).is_empty());
}

#[test]
fn a_port_tells_what_may_be_spoken_there() {
    let catalog = Catalog::built_in();
    let speaks = |protocol, port: u16| catalog.port(protocol, port)[0].speaks.clone();
    assert_eq!(speaks(TCP, 389), ["ldap"]);
    assert_eq!(speaks(TCP, 636), ["tls"]);
    assert_eq!(speaks(TCP, 139), ["netbios-session", "smb"]);
    assert_eq!(speaks(UDP, 4500), ["nat-t", "isakmp"]);
    assert!(speaks(TCP, 20).is_empty());
}

#[test]
fn who_speaks_a_protocol_is_known_whatever_the_port_and_listeners_come_first() {
    let catalog = Catalog::built_in();
    let ftp = catalog.speaks_of("ftp");
    let ids: Vec<&str> = (ftp.iter())
        .map(|u| catalog.service(u.service).id.as_str())
        .collect();
    assert_eq!(ids, ["MSFtpSvc", "ALG"]);
    assert!(catalog.speaks_of("bittorrent").is_empty());
}

#[test]
fn what_the_article_states_beside_its_rows_can_be_read() {
    let catalog = Catalog::built_in();
    let facts = |id: &str| -> Vec<Fact> {
        let service = catalog.service(catalog.find(id).expect("a founding service"));
        service.behaviour.iter().map(|b| b.fact).collect()
    };
    let range = |first, last| PortRange { first, last };
    assert!(facts("MSFtpSvc").contains(&Fact::DataPortOffset(-1)));
    assert!(facts("MSFtpSvc").contains(&Fact::PassivePorts(range(1025, 5000))));
    assert!(facts("ALG").contains(&Fact::PrivatePorts(range(3000, 5000))));
    assert!(facts("W3SVC").contains(&Fact::AdministrationPort(8098)));
    assert!(facts("RpcSs").contains(&Fact::PortsConfigurable));
    let dynamic: Vec<PortRange> = catalog.dynamic_ports().collect();
    assert_eq!(dynamic, [range(1025, 5000), range(49152, 65535)]);
}

#[test]
fn an_interface_of_several_meanings_is_told_by_version_or_pipe() {
    let catalog = Catalog::built_in();
    let srvsvc = "4b324fc8-1670-01d3-1278-5a47bf6ee188";
    assert_eq!(interface_name(&catalog, srvsvc, (3, 0)), Some("srvsvc"));
    assert_eq!(interface_name(&catalog, srvsvc, (0, 0)), Some("sfmsvc"));
    assert_eq!(interface_name(&catalog, srvsvc, (1, 0)), None);
    assert_eq!(catalog.interfaces_of_uuid(uuid(srvsvc)).count(), 2);

    let spoolss = Interface::new(uuid("12345678-1234-abcd-ef00-0123456789ab"), 1, 0);
    let by_pipe = |pipe| {
        let entry = catalog.interface(spoolss, pipe);
        entry.and_then(|e| e.name.as_deref())
    };
    assert_eq!(by_pipe(None), Some("spoolss"));
    assert_eq!(by_pipe(Some("ntsvcs")), Some("spoolss"));
    assert_eq!(by_pipe(Some("ipsec")), Some("winipsec"));
    assert_eq!(by_pipe(Some(r"\PIPE\IPSEC")), Some("winipsec"));
}

#[test]
fn a_version_that_the_catalog_lacks_falls_back_within_its_major_version_only() {
    let catalog = Catalog::built_in();
    let epmapper = "e1af8308-5d1f-11c9-91a4-08002b14a0fa";
    assert_eq!(interface_name(&catalog, epmapper, (3, 0)), Some("epmapper"));
    assert_eq!(interface_name(&catalog, epmapper, (3, 7)), Some("epmapper"));
    assert_eq!(interface_name(&catalog, epmapper, (1, 0)), None);
    // Of no known version: any will do.
    let any = "00000140-0000-0000-c000-000000000046";
    assert_eq!(
        interface_name(&catalog, any, (9, 9)),
        Some("IClassActivator")
    );
}

#[test]
fn interfaces_lead_to_services() {
    let catalog = Catalog::built_in();
    for (of, version, id) in [
        ("e3514235-4b06-11d1-ab04-00c04fc2dcd2", (4, 0), "LSASS"),
        ("12345778-1234-abcd-ef00-0123456789ac", (1, 0), "LSASS"),
        ("367abb81-9844-35f1-ad32-98f038001003", (2, 0), "SCM"),
        ("a4f1db00-ca47-1067-b31f-00dd010662da", (0, 81), "Exchange"),
        (
            "338cd001-2244-31f1-aaaa-900038001003",
            (1, 0),
            "RemoteRegistry",
        ),
    ] {
        let interface = Interface::new(uuid(of), version.0, version.1);
        let entry = catalog.interface(interface, None).expect(of);
        let service = entry.service.expect(of);
        assert_eq!(catalog.service(service).id, id);
    }
    assert!(catalog.interfaces().len() >= 1216);
}

#[test]
fn pipes_lead_to_services_in_any_case() {
    let catalog = Catalog::built_in();
    assert_eq!(pipe_owner(&catalog, "svcctl"), Some("SCM"));
    assert_eq!(pipe_owner(&catalog, r"\PIPE\SamR"), Some("LSASS"));
    assert_eq!(pipe_owner(&catalog, r"sql\query"), Some("MSSQLSERVER"));
    assert_eq!(
        pipe_owner(&catalog, r"mssql$uddi\sql\query"),
        Some("MSSQL$UDDI")
    );
    assert_eq!(
        pipe_owner(&catalog, r"mssql$crm\sql\query"),
        Some("MSSQL$NAME")
    );
    assert_eq!(pipe_owner(&catalog, r"mssql$\sql\query"), None);
    assert_eq!(pipe_owner(&catalog, r"mssql$a\b\sql\query"), None);
    assert!(catalog.pipe("no such pipe").is_none());
}

#[test]
fn a_class_names_the_service_of_its_objects() {
    let catalog = Catalog::built_in();
    let owner = |class| {
        let entry = catalog.class(uuid(class)).expect("a class of the catalog");
        entry.service.map(|id| catalog.service(id).id.as_str())
    };
    assert_eq!(
        owner("8bc3f05e-d86b-11d0-a075-00c04fb68820"),
        Some("Winmgmt")
    );
    assert_eq!(
        owner("d99e6e74-fc88-11d0-b498-00a0c90312f3"),
        Some("CertSvc")
    );
    assert_eq!(owner("49b2791a-b1ae-4c90-9b8e-e860ba07f889"), None);
    assert!(
        catalog
            .class(uuid("00000001-0000-0000-0000-000000000000"))
            .is_none()
    );
}

#[test]
fn a_users_class_replaces_one_of_the_same_uuid() {
    let wmi = "8bc3f05e-d86b-11d0-a075-00c04fb68820";
    let text = format!("[[class]]\nuuid = '{wmi}'\nname = 'mine'\nsource = 'x'\n");
    let catalog = load(&[&text]).expect("no faults");
    let entry = catalog.class(uuid(wmi)).expect("a class of the catalog");
    assert_eq!((entry.name.as_str(), entry.service), ("mine", None));
    let new = text.replace("8bc3f05e", "00000000");
    let twice = faults(&format!("{new}{new}"));
    assert!(twice[0].contains("class 00000000-d86b-11d0"), "{twice:?}");
}

#[test]
fn every_entry_has_a_source() {
    let catalog = Catalog::built_in();
    assert!(catalog.services().all(|(_, s)| !s.source.is_empty()));
    assert!(catalog.interfaces().iter().all(|e| !e.source.is_empty()));
    assert!(catalog.pipes().iter().all(|e| !e.source.is_empty()));
    assert!(catalog.classes().iter().all(|e| !e.source.is_empty()));
    assert!(catalog.mailslots().iter().all(|e| !e.source.is_empty()));
    assert!(catalog.netbios_names().iter().all(|e| !e.source.is_empty()));
}

const GOPHER: &str = r#"
[[service]]
id = "Gopher"
name = "Gopher Server"
source = "RFC 1436"
port = [{ application = "Gopher", protocol = "tcp", port = 70, speaks = ["http"] }]
"#;

#[test]
fn a_new_service_is_added_after_the_built_in_ones() {
    let catalog = load(&[GOPHER]).expect("no faults");
    let (id, last) = catalog.services().last().expect("services");
    assert_eq!(last.id, "Gopher");
    assert_eq!(last.origin, Origin::User);
    let uses = catalog.port(TCP, 70);
    assert_eq!((uses[0].service, uses[0].listener), (id, true));
}

#[test]
fn a_service_of_the_same_id_replaces_the_earlier_one_and_the_last_file_wins() {
    let first = GOPHER.replace("Gopher\"", "telnet\"");
    let last = GOPHER
        .replace("Gopher\"", "TLNTSVR\"")
        .replace("70", "2323");
    let built_in = Catalog::built_in();
    for texts in [[first.as_str(), &last], [GOPHER, &last]] {
        let catalog = load(&texts).expect("no faults");
        let telnet = catalog.find("TlntSvr").expect("still there");
        assert_eq!(Some(telnet), built_in.find("TlntSvr"));
        assert_eq!(catalog.service(telnet).id, "TLNTSVR");
        assert!(catalog.port(TCP, 23).is_empty());
        assert_eq!(catalog.port(TCP, 2323)[0].service, telnet);
    }
    let again = load(&[&last, &last.replace("2323", "2424")]).expect("no faults");
    assert!(again.port(TCP, 2323).is_empty());
    assert_eq!(again.port(TCP, 2424).len(), 1);
}

#[test]
fn a_later_mark_takes_a_shared_port_from_its_listener() {
    let joined = GOPHER.replace("70", "445");
    let catalog = load(&[&joined]).expect("no faults");
    let owner = |c: &Catalog| c.service(c.port(TCP, 445)[0].service).id.clone();
    assert_eq!(owner(&catalog), "lanmanserver");

    let taken = joined.replace("speaks", "listener = true, speaks");
    let catalog = load(&[&taken]).expect("no faults");
    assert_eq!(owner(&catalog), "Gopher");
    let listeners = catalog.port(TCP, 445).iter().filter(|u| u.listener);
    assert_eq!(listeners.count(), 1);
}

#[test]
fn more_ports_are_added_to_a_service_of_an_earlier_file_and_replace_its_rows_of_that_name() {
    let more = |row: &str| {
        format!("[[more_ports]]\nservice = 'print spooler'\nsource = 'x'\nport = [{{ {row} }}]\n")
    };
    let aliased = "[[service]]\nid = 'Q'\nname = 'q'\naliases = ['Print Spooler']\nsource = 'x'\n";
    let added = more("application = 'Raw', protocol = 'tcp', port = 9100");
    let catalog = load(&[aliased, &added]).expect("no faults");
    let uses = catalog.port(TCP, 9100);
    assert_eq!(catalog.service(uses[0].service).id, "Q");

    let to = |row: &str| more(row).replace("print spooler", "SPOOLER");
    let added = to("application = 'Raw', protocol = 'tcp', port = 9100");
    let again = to("application = 'Raw', protocol = 'tcp', port = 9100, speaks = ['lpd']");
    let catalog = load(&[&added, &again]).expect("no faults");
    let uses = catalog.port(TCP, 9100);
    assert_eq!(catalog.service(uses[0].service).id, "Spooler");
    assert_eq!(uses.len(), 1);
    assert_eq!(uses[0].speaks, ["lpd"]);
    let taken = to("application = 'Jobs', protocol = 'tcp', port = 445, listener = true");
    let catalog = load(&[&taken]).expect("no faults");
    assert_eq!(
        catalog.service(catalog.port(TCP, 445)[0].service).id,
        "Spooler"
    );
    // A service that is replaced is replaced with the rows that were added to it.
    let anew = "[[service]]\nid = 'Spooler'\nname = 'n'\nsource = 'x'\n";
    let catalog = load(&[&added, anew]).expect("no faults");
    assert!(catalog.port(TCP, 9100).is_empty());
}

#[test]
fn an_interface_of_the_same_version_is_replaced_and_of_another_is_added() {
    let text = |version: &str| {
        format!(
            "[[interface]]\nuuid = \"{{367ABB81-9844-35F1-AD32-98F038001003}}\"\n\
             versions = [\"{version}\"]\nname = \"mine\"\nservice = \"Print Queue\"\nsource = \"x\"\n\
             [[service]]\nid = \"Print Queue\"\nname = \"n\"\nsource = \"x\"\n"
        )
    };
    let svcctl = "367abb81-9844-35f1-ad32-98f038001003";
    let catalog = load(&[&text("2.0")]).expect("no faults");
    assert_eq!(interface_name(&catalog, svcctl, (2, 0)), Some("mine"));
    assert_eq!(catalog.interfaces_of_uuid(uuid(svcctl)).count(), 1);
    let catalog = load(&[&text("3.0")]).expect("no faults");
    assert_eq!(interface_name(&catalog, svcctl, (2, 0)), Some("svcctl"));
    assert_eq!(interface_name(&catalog, svcctl, (3, 0)), Some("mine"));
}

#[test]
fn mailslots_lead_to_services_in_any_case() {
    let catalog = Catalog::built_in();
    let owner = |name| {
        let service = catalog.mailslot(name)?.service?;
        Some(catalog.service(service).id.as_str())
    };
    assert_eq!(owner("browse"), Some("Browser"));
    assert_eq!(owner(r"\MAILSLOT\NET\NetLogon"), Some("Netlogon"));
    assert_eq!(owner(r"net\getdc817"), Some("Netlogon"));
    assert_eq!(owner(r"net\getdc"), None);
    assert_eq!(owner("mssp"), None);
    assert!(catalog.mailslot("mssp").is_some());
    assert!(catalog.mailslot("no such mailslot").is_none());
}

#[test]
fn a_netbios_name_is_told_by_suffix_name_and_kind() {
    let catalog = Catalog::built_in();
    let meaning = |name: &[u8; 16], kind| {
        let entry = catalog.netbios_name(NetbiosName(*name), kind)?;
        Some(entry.meaning.as_str())
    };
    let (unique, group) = (Some(NameKind::Unique), Some(NameKind::Group));
    let file_server = Some("file server service");
    assert_eq!(meaning(b"PC2            \x20", None), file_server);
    assert_eq!(meaning(b"PC2            \x20", unique), file_server);
    let gateway = Some("DCA IrmaLan gateway server service");
    assert_eq!(meaning(b"FORTE_$ND800ZA \x20", unique), gateway);
    assert_eq!(meaning(b"PC2            \0", None), None);
    assert_eq!(
        meaning(b"PC2            \0", unique),
        Some("workstation service")
    );
    assert_eq!(
        meaning(b"OFFICE         \0", group),
        Some("domain or workgroup")
    );
    let browser = Some("master browser");
    assert_eq!(meaning(b"\x01\x02__MSBROWSE__\x02\x01", group), browser);
    assert_eq!(
        meaning(b"PC2            \x01", unique),
        Some("messenger service")
    );
    assert_eq!(meaning(b"PC2            \x77", unique), None);
}

#[test]
fn one_service_registers_the_names_of_others() {
    let catalog = Catalog::built_in();
    let registrar = catalog.name_registrar().expect("there is one");
    assert_eq!(catalog.service(registrar).id, "WINS");
}

#[test]
fn a_mailslot_and_a_netbios_name_of_the_user_replace_what_is_built_in() {
    let text = "[[mailslot]]\nname = 'Browse'\nservice = 'Spooler'\nsource = 'x'\n\
        [[netbios_name]]\nsuffix = 0x20\nmeaning = 'mine'\nsource = 'x'\n";
    let catalog = load(&[text]).expect("no faults");
    let slot = catalog.mailslot("browse").expect("it is there");
    assert_eq!(slot.service, catalog.find("Spooler"));
    let name = NetbiosName(*b"PC2            \x20");
    let entry = catalog.netbios_name(name, None).expect("it is there");
    assert_eq!((entry.meaning.as_str(), entry.service), ("mine", None));
}

#[test]
fn a_pipe_of_the_same_name_is_replaced() {
    let text = "[[pipe]]\nname = 'SVCCTL'\nservice = 'Spooler'\nsource = 'x'\n";
    let catalog = load(&[text]).expect("no faults");
    assert_eq!(pipe_owner(&catalog, "svcctl"), Some("Spooler"));
}

#[test]
fn every_kind_of_fault_is_named_with_its_line() {
    let service = "[[service]]\nid = 'a'\nname = 'A'\nsource = 'x'\n";
    let row = |row: &str| format!("{service}port = [\n{{ {row} }},\n]\n");
    let interface = |rest: &str| {
        format!(
            "[[interface]]\nuuid = '00000000-0000-0000-0000-000000000001'\nsource = 'x'\n{rest}\n"
        )
    };
    let twice = |text: &str| format!("{text}{text}");
    for (text, expected) in [
        (
            format!("{service}colour = 'red'\n"),
            "0.toml:5: unknown key \"colour\"; known here: id, name",
        ),
        (
            "[[services]]\n".to_owned(),
            "0.toml:1: unknown key \"services\"; known here: service,",
        ),
        (
            "[service]\nid = 'a'\n".to_owned(),
            "0.toml:1: \"service\" is of type table; it should be an array",
        ),
        (
            "\n[[service]]\nid = 'a'\nname = 'A'\n".to_owned(),
            "0.toml:2: [[service]] has no `source`; add",
        ),
        (
            "[[pipe]]\nsource = 'x'\n".to_owned(),
            "0.toml:1: [[pipe]] has no `name`; add",
        ),
        (
            row("application = 'A', protocol = 'tcp'"),
            "0.toml:6: [[service.port]] has no `port`; add",
        ),
        (
            service.replace("'A'", "7"),
            "0.toml:3: \"name\" is of type integer; it should be a string",
        ),
        (
            service.replace("'x'", "'  '"),
            "0.toml:4: \"source\" is empty; give it a text",
        ),
        (
            service.replace("'A'", "\"A\\u001b[31m\""),
            "0.toml:3: \"name\" has a control character; write",
        ),
        (
            service.replace("'A'", "\"A\\u202e\""),
            "0.toml:3: \"name\" has a control character; write",
        ),
        (
            "[[interface]]\nuuid = 'e1af8308'\nsource = 'x'\n".to_owned(),
            "0.toml:2: \"e1af8308\" is not a UUID; one looks like",
        ),
        (
            interface("versions = [\n'1.0',\n'2',\n]"),
            "0.toml:6: \"2\" is not a version; one is",
        ),
        (
            interface("versions = ['1.99999']"),
            "0.toml:4: \"1.99999\" is not a version; one is",
        ),
        (
            "[[class]]\nuuid = 'e1af8308'\nname = 'A'\nsource = 'x'\n".to_owned(),
            "0.toml:2: \"e1af8308\" is not a UUID; one looks like",
        ),
        (
            "[[class]]\nuuid = '00000000-0000-0000-0000-000000000001'\nsource = 'x'\n".to_owned(),
            "0.toml:1: [[class]] has no `name`; add",
        ),
        (
            interface("service = 'nobody'"),
            "0.toml:4: unknown service \"nobody\"; use the id or alias",
        ),
        (
            row("application = 'A', protocol = 'sctp', port = 1"),
            "0.toml:6: \"sctp\" is no protocol of a port row; use tcp",
        ),
        (
            row("application = 'A', protocol = 'tcp', port = 0"),
            "0.toml:6: \"port\" is 0; it should be a port from 1",
        ),
        (
            row("application = 'A', protocol = 'udp', port = 65536"),
            "0.toml:6: \"port\" is 65536; it should be a port from 1",
        ),
        (
            row("application = 'A', protocol = 'ip', port = 256"),
            "0.toml:6: \"port\" is 256; it should be an IP protocol",
        ),
        (
            row("application = 'A', protocol = 'tcp', port = 'any'"),
            "0.toml:6: \"port\" is any; it should be a port from 1 to 65535, or",
        ),
        (
            row("application = 'A', protocol = 'tcp', port = 1, speaks = ['klingon']"),
            "0.toml:6: unknown protocol \"klingon\"; known: afp, bittorrent,",
        ),
        (
            row("application = 'A', protocol = 'tcp', port = 1, listener = 'yes'"),
            "0.toml:6: \"listener\" is of type string; it should be true",
        ),
        (
            format!("{service}[[service.behaviour]]\nnote = 'n'\npassive_ports = [9, 1]\n"),
            "0.toml:7: \"passive_ports\" is no range; it should be",
        ),
        (
            format!(
                "{service}[[service.behaviour]]\nnote = 'n'\nadministration_port = 1\ndynamic_port_count = 1\n"
            ),
            "0.toml:8: \"dynamic_port_count\" is a second fact; give each",
        ),
        (
            format!("{service}[[service.behaviour]]\ndynamic_port_count = 1\n"),
            "0.toml:5: [[service.behaviour]] has no `note`; add",
        ),
        (
            twice(service),
            "0.toml:6: service a stands already at 0.toml:2; keep one",
        ),
        (
            format!("{service}aliases = ['b', 'B']\n"),
            "0.toml:5: alias b stands already at 0.toml:5; keep one",
        ),
        (
            row(
                "application = 'A', protocol = 'tcp', port = 1 },\n{ application = 'A', protocol = 'tcp', port = 1",
            ),
            "0.toml:7: port row A 1/tcp stands already at 0.toml:6; keep",
        ),
        (
            "[[more_ports]]\nservice = 'nobody'\nsource = 'x'\nport = []\n".to_owned(),
            "0.toml:2: unknown service \"nobody\"; use the id or alias",
        ),
        (
            "[[more_ports]]\nservice = 'Spooler'\nport = []\n".to_owned(),
            "0.toml:1: [[more_ports]] has no `source`; add",
        ),
        (
            "[[more_ports]]\nsource = 'x'\nport = []\n".to_owned(),
            "0.toml:1: [[more_ports]] has no `service`; add",
        ),
        (
            "[[more_ports]]\nservice = 'Spooler'\nsource = 'x'\n".to_owned(),
            "0.toml:1: [[more_ports]] has no `port`; add",
        ),
        (
            "[[more_ports]]\nservice = 'Spooler'\nsource = 'x'\nport = [{ application = 'A', protocol = 'tcp' }]\n".to_owned(),
            "0.toml:4: [[more_ports.port]] has no `port`; add",
        ),
        (
            twice("[[more_ports]]\nservice = 'Spooler'\nsource = 'x'\nport = [{ application = 'A', protocol = 'tcp', port = 1 }]\n"),
            "0.toml:8: port row A 1/tcp stands already at 0.toml:4; keep",
        ),
        (
            twice(&interface("")),
            "0.toml:6: interface 00000000-0000-0000-0000-000000000001 stands already at 0.toml:2;",
        ),
        (
            twice("[[pipe]]\nname = 'p'\nsource = 'x'\n"),
            "0.toml:5: pipe p stands already at 0.toml:2; keep",
        ),
        (
            "[[mailslot]]\nname = '*a*'\nsource = 'x'\n".to_owned(),
            "0.toml:2: mailslot \"*a*\" has more than one `*`; keep one",
        ),
        (
            twice("[[mailslot]]\nname = 'm'\nsource = 'x'\n"),
            "0.toml:5: mailslot m stands already at 0.toml:2; keep",
        ),
        (
            twice("[[netbios_name]]\nsuffix = 0x77\nmeaning = 'm'\nsource = 'x'\n"),
            "0.toml:6: NetBIOS name <77> stands already at 0.toml:2; keep",
        ),
        (
            "[[netbios_name]]\nsuffix = 256\nmeaning = 'm'\nsource = 'x'\n".to_owned(),
            "0.toml:2: \"suffix\" is 256; it should be a byte from 0x00 to 0xff",
        ),
        (
            "[[netbios_name]]\nsuffix = 7\nkind = 'own'\nmeaning = 'm'\nsource = 'x'\n".to_owned(),
            "0.toml:3: \"own\" is no kind of name; use unique or group",
        ),
        (
            "[[pipe]]\nname = '*a*'\nsource = 'x'\n".to_owned(),
            "0.toml:2: pipe \"*a*\" has more than one `*`; keep one",
        ),
        ("[[service]]\nid = \n".to_owned(), "0.toml:2: not TOML: "),
    ] {
        let found = faults(&text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(found[0].starts_with(expected), "{text}\n{found:#?}");
    }
}

#[test]
fn a_port_that_several_services_share_needs_one_listener() {
    let two = |first: &str, second: &str| {
        format!(
            "[[service]]\nid = 'a'\nname = 'A'\nsource = 'x'\nport = [{{ application = 'A', protocol = 'tcp', port = 7777{first} }}]\n\
             [[service]]\nid = 'b'\nname = 'B'\nsource = 'x'\nport = [{{ application = 'B', protocol = 'tcp', port = 7777{second} }}]\n"
        )
    };
    let marked = ", listener = true";
    assert!(faults(&two(marked, "")).is_empty());
    let none = faults(&two("", ""));
    assert!(none[0].starts_with("0.toml:10: several services list 7777/tcp and none owns it"));
    let both = faults(&two(marked, marked));
    assert!(both[0].starts_with("0.toml:10: listener of 7777/tcp stands already at 0.toml:5"));
    assert_eq!((none.len(), both.len()), (1, 1));
}

#[test]
fn all_faults_of_all_files_are_named_at_once_in_their_order() {
    let first = "[[pipe]]\nname = 'p'\n\n[[service]]\nid = 'a'\ncolour = 'red'\nname = 'A'\n";
    let second = "[[interface]]\nuuid = 'x'\nservice = 'nobody'\nsource = 'x'\n";
    let found = load(&[first, second]).expect_err("faults");
    let places: Vec<&str> = found.iter().map(|f| &f[.."0.toml:1".len()]).collect();
    let expected = ["0.toml:1", "0.toml:4", "0.toml:6", "1.toml:2", "1.toml:3"];
    assert_eq!(places, expected, "{found:#?}");
}

#[test]
fn what_a_broken_line_may_have_held_is_not_missed() {
    let text = "[[service]]\nid = 'a\nname = 'A'\nsource = 'x'\n\n[[pipe]]\ncolour = 1\n";
    let found = faults(text);
    assert!(found[0].starts_with("0.toml:2: not TOML"), "{found:#?}");
    assert!(
        found.iter().any(|f| f.starts_with("0.toml:7: unknown key")),
        "{found:#?}"
    );
    assert!(!found.iter().any(|f| f.contains(" has no ")), "{found:#?}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault_without_a_line() {
    let folder = TempDir::new().expect("a temporary folder");
    let missing = folder.path().join("missing.toml");
    let found = Catalog::load(std::slice::from_ref(&missing), None).expect_err("no such file");
    let expected = format!("{}: cannot be read", missing.display());
    assert!(found.to_string().starts_with(&expected), "{found}");

    let binary = folder.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe, 0]).expect("a new file");
    assert!(
        Catalog::check(&binary, &dissect::vocabulary())
            .unwrap_err()
            .to_string()
            .contains("not UTF-8")
    );

    let long = folder.path().join("long.toml");
    fs::write(&long, vec![b'#'; 4 * 1024 * 1024 + 1]).expect("a new file");
    assert!(
        Catalog::check(&long, &dissect::vocabulary())
            .unwrap_err()
            .to_string()
            .contains("longer than")
    );
    assert!(Catalog::check(folder.path(), &dissect::vocabulary()).is_err());
}

#[test]
fn a_checked_file_tells_how_much_it_holds() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("extra.toml");
    fs::write(&path, GOPHER).expect("a new file");
    let contents = Catalog::check(&path, &dissect::vocabulary()).expect("no faults");
    assert_eq!(
        [
            contents.services,
            contents.more_ports,
            contents.interfaces,
            contents.pipes,
            contents.classes
        ],
        [1, 0, 0, 0, 0]
    );
}

#[test]
fn a_file_nested_without_end_is_refused() {
    for text in [
        format!("{} = 1\n", vec!["a"; 200_000].join(".")),
        format!("[{}]\n", vec!["a"; 200_000].join(".")),
        format!("a = {}", "[".repeat(200_000)),
        format!("a = {}", "{a=".repeat(200_000)),
    ] {
        assert!(!faults(&text).is_empty());
    }
}
