//! The built-in catalog against the tables that it was made from, row by row. They are not part
//! of the project: `WIRETAG_SHARED` names the folder that holds them under `reference/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use wiretag::catalog::{Catalog, Origin};
use wiretag::model::uuid::{Interface, Uuid};

/// The rows of a table below its head, cut at the tabs.
fn rows(name: &str) -> Vec<Vec<String>> {
    let shared = std::env::var_os("WIRETAG_SHARED").expect("WIRETAG_SHARED is set");
    let path = PathBuf::from(shared).join("reference").join(name);
    let text = fs::read_to_string(&path).expect("the table can be read");
    (text.lines().skip(1))
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

/// The catalog's id for a name of the tables. They call Exchange's POP3 server by its service
/// name, which is also that of the founding article's own POP3 service.
fn id_of(catalog: &Catalog, name: &str) -> Option<String> {
    let name = if name == "POP3Svc" { "Exchange" } else { name };
    (catalog.find(name)).map(|id| catalog.service(id).id.clone())
}

#[test]
#[ignore = "needs the shared reference"]
fn services_equal_the_founding_articles_in_its_order() {
    let catalog = Catalog::built_in();
    let founding: Vec<_> = (catalog.services())
        .filter(|(_, s)| s.origin == Origin::Founding)
        .collect();
    let table = rows("services.tsv");
    assert_eq!(founding.len(), table.len());
    for ((id, service), row) in founding.into_iter().zip(table) {
        assert_eq!(service.name, row[1]);
        match row[2].as_str() {
            "" => assert!(service.id_source.is_some(), "{}", service.id),
            id => assert_eq!(service.id, id),
        }
        let dynamic = (service.ports.iter()).any(|row| row.at.number().is_none());
        assert_eq!(dynamic, row[5] == "yes", "{}", service.id);
        assert!(
            catalog.find(&row[3]).is_none_or(|found| found == id),
            "{}",
            row[3]
        );
    }
}

#[test]
#[ignore = "needs the shared reference"]
fn port_rows_equal_the_founding_articles() {
    let catalog = Catalog::built_in();
    let mut ours = BTreeSet::new();
    for (_, service) in catalog.services() {
        // A row with a source of its own was added to the article's.
        for row in service.ports.iter().filter(|row| row.source.is_none()) {
            let number = row
                .at
                .number()
                .map_or("dynamic".to_owned(), |n| n.to_string());
            let protocol = row.at.protocol_name().to_owned();
            let quirk = if row.quirk { "kb_quirk" } else { "right" };
            ours.insert((
                service.name.clone(),
                row.application.clone(),
                protocol,
                number,
                quirk.to_owned(),
            ));
        }
    }
    let theirs: BTreeSet<_> = (rows("merged.tsv").into_iter())
        .filter(|r| r[6] != "wrong")
        .map(|r| {
            (
                r[0].clone(),
                r[1].clone(),
                r[2].clone(),
                r[3].clone(),
                r[6].clone(),
            )
        })
        .collect();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 172);
}

#[test]
#[ignore = "needs the shared reference"]
fn interfaces_equal_the_tables() {
    let catalog = Catalog::built_in();
    let table = rows("interfaces.tsv");
    assert_eq!(catalog.interfaces().len(), table.len());
    for row in table {
        let uuid: Uuid = row[0].parse().expect("a UUID");
        let pipe = row[6].split(',').next();
        for version in row[1].split(',') {
            let (major, minor) = version.split_once('.').unwrap_or(("0", "0"));
            let number = |text: &str| text.parse().expect("a number");
            let interface = Interface::new(uuid, number(major), number(minor));
            let entry = catalog
                .interface(interface, pipe)
                .expect("every row has an entry");
            assert_eq!(entry.name.as_deref().unwrap_or(""), row[2], "{interface}");
            let service = entry.service.map(|id| catalog.service(id).id.clone());
            assert_eq!(service, id_of(&catalog, &row[4]), "{interface}");
            assert_eq!(entry.pipes.join(","), row[6], "{interface}");
        }
    }
}

#[test]
#[ignore = "needs the shared reference"]
fn pipes_equal_the_table() {
    let catalog = Catalog::built_in();
    for row in rows("pipes.tsv") {
        let entry = catalog.pipe(&row[0]).expect("every row has an entry");
        assert_eq!(entry.interface.as_deref().unwrap_or(""), row[1]);
        let service = entry.service.map(|id| catalog.service(id).id.clone());
        assert_eq!(service, id_of(&catalog, &row[2]), "{}", row[0]);
    }
}
