//! Dynamic Host Configuration Protocol (RFC 2131), and BOOTP with its extensions (RFC 1497).

use crate::dissect::read::{Reader, Short};
use crate::dissect::{Definition, Input, Look, Role, probe_datagram};
use crate::model::protocol::Protocol;

/// DHCP over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: Protocol::Dhcp,
    input: Input::Datagram,
    usual_ports: &[67, 68, 4011],
    probe: |opening| probe_datagram(opening, look),
    follow: None,
};

fn look(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::big(bytes);
    let [operation, _hardware, hardware_len, _hops] = r.array()?;
    r.skip(232)?; // fixed fields, up to the cookie
    let is_dhcp = hardware_len <= 16 && r.u32()? == COOKIE;
    Ok(match operation {
        1 if is_dhcp => Look::By(Role::Client),
        2 if is_dhcp => Look::By(Role::Server),
        _ => Look::Other,
    })
}

/// RFC 2131 3.
const COOKIE: u32 = 0x6382_5363;
