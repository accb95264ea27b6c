//! The catalog's loader: files that users write.

use wiretag::catalog::Catalog;
use wiretag::dissect::vocabulary;
use wiretag::model::five_tuple::IpProtocol;

use super::input::as_file;

/// Takes the bytes for a catalog file, without the built-in ones: to read them again each time
/// would take a hundred times as long as what is fuzzed.
pub fn run(bytes: &[u8]) {
    let path = as_file(bytes);
    let catalog = match Catalog::only(&[path], Some(&vocabulary())) {
        Ok(catalog) => catalog,
        Err(faults) => {
            let said = faults.to_string();
            assert!(!said.is_empty(), "a fault says something");
            return;
        }
    };
    for (id, service) in catalog.services() {
        assert_eq!(catalog.find(&service.id), Some(id), "it is found by its id");
    }
    for port in [0, 80, 135, 445, u16::MAX] {
        catalog.port(IpProtocol::TCP, port);
    }
    for entry in catalog.interfaces() {
        assert!(catalog.interfaces_of_uuid(entry.uuid).next().is_some());
    }
    catalog.pipe("lsass");
    catalog.mailslot("browse");
}
