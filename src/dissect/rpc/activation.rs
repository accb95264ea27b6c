//! Activation properties (MS-DCOM 2.2.22): what a client asked to be activated, and where the
//! answer says that it lives.
//!
//! They come as an OBJREF_CUSTOM, "MEOW", in whatever byte order the call has: always little.

use std::collections::BTreeSet;

use crate::dissect::read::{Order, Reader, Short};
use crate::dissect::rpc::dual_string;
use crate::model::evidence::Endpoint;
use crate::model::uuid::Uuid;

/// How many of the interfaces asked for are kept. Clients ask for one or two.
const MAX_INTERFACES: usize = 16;

/// The most properties in one blob (MS-DCOM 2.2.28.1, MAX_ACTPROP_LIMIT).
const MAX_PROPERTIES: u32 = 10;

/// The most interfaces that a client may ask for (MS-DCOM 2.2.28.1, MAX_REQUESTED_INTERFACES).
const MAX_REQUESTED: u32 = 0x8000;

const SIGNATURE: [u8; 4] = *b"MEOW";
const OBJREF_CUSTOM: u32 = 4;

/// Which way properties go: the interface and class of their marshaller (MS-DCOM 1.9).
struct Way {
    interface: Uuid,
    class: Uuid,
}

const TO_SERVER: Way = Way {
    interface: com(0x1a2),
    class: com(0x338),
};
const TO_CLIENT: Way = Way {
    interface: com(0x1a3),
    class: com(0x339),
};
const INSTANTIATION: Uuid = com(0x1ab);
const SCM_REPLY: Uuid = com(0x1b6);

/// A UUID of COM's own: `00000000-0000-0000-c000-000000000046` with this number in front.
const fn com(number: u32) -> Uuid {
    Uuid::from_u128(((number as u128) << 96) | 0xc000_000000000046)
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The class of the object.
    pub class: Uuid,
    /// The interfaces of it, as many as are kept.
    pub interfaces: Vec<Uuid>,
}

/// Reads the properties that a client sends, behind the referent of their pointer.
///
/// # Errors
/// `Short` if they disagree with themselves or ask for no class.
pub fn asked(r: &mut Reader) -> Result<Asked, Short> {
    let mut r = property(objref(r, &TO_SERVER)?, INSTANTIATION)?;
    // InstantiationInfoData (2.2.22.2.1).
    let class = uuid(&mut r)?;
    r.skip(12)?; // class context, flags, surrogate
    let count = r.u32()?;
    r.skip(4)?;
    pointer(&mut r)?;
    r.skip(8)?; // its own size, the client's version
    let interfaces = interfaces(&mut r, count)?;
    Ok(Asked { class, interfaces })
}

/// Reads the properties that a server answers, behind the referent of their pointer: where the
/// object exporter listens.
///
/// # Errors
/// `Short` if they disagree with themselves or do not say where.
pub fn exporter(r: &mut Reader) -> Result<BTreeSet<Endpoint>, Short> {
    let mut r = property(objref(r, &TO_CLIENT)?, SCM_REPLY)?;
    // ScmReplyInfoData (2.2.22.2.8): a reserved pointer, and one to the reply.
    r.skip(4)?;
    pointer(&mut r)?;
    r.align(8)?;
    r.skip(8)?; // the OXID
    pointer(&mut r)?;
    r.skip(24)?; // IPID, authentication hint, version
    dual_string::read(&mut r).map(|bindings| bindings.endpoints)
}

/// Whether such properties could begin here, as far as they have come.
pub fn may_be_exporter(r: &mut Reader) -> bool {
    let mut opening = || {
        let agrees = r.u32()? == r.u32()?;
        objref_head(&mut Reader::little(r.rest()), &TO_CLIENT)?;
        Ok::<bool, Short>(agrees)
    };
    opening() == Ok(true)
}

/// Reads the conformant array of `count` interface ids, of which the first are kept.
///
/// # Errors
/// `Short` if it has another size, or none, or more than may be asked for.
pub fn interfaces(r: &mut Reader, count: u32) -> Result<Vec<Uuid>, Short> {
    if count == 0 || count > MAX_REQUESTED || r.u32()? != count {
        return Err(Short);
    }
    let mut interfaces = Vec::new();
    for _ in 0..count {
        let interface = uuid(r)?;
        if interfaces.len() < MAX_INTERFACES {
            interfaces.push(interface);
        }
    }
    Ok(interfaces)
}

/// Reads a UUID in the reader's byte order.
///
/// # Errors
/// `Short` if it is not all there.
pub fn uuid(r: &mut Reader) -> Result<Uuid, Short> {
    let bytes = r.array()?;
    Ok(match r.order() {
        Order::Big => Uuid::from_wire_be(bytes),
        Order::Little => Uuid::from_wire_le(bytes),
    })
}

/// Passes over a pointer that must point at something.
///
/// # Errors
/// `Short` if it is null.
pub fn pointer(r: &mut Reader) -> Result<(), Short> {
    r.align(4)?;
    match r.u32()? {
        0 => Err(Short),
        _ => Ok(()),
    }
}

/// The blob in the OBJREF_CUSTOM of an MInterfacePointer (2.2.14, 2.2.18.6, 2.2.22).
fn objref<'a>(r: &mut Reader<'a>, way: &Way) -> Result<Reader<'a>, Short> {
    let (most, len) = (r.u32()?, r.u32()?);
    let mut r = Reader::little(r.take(to_len(len))?);
    objref_head(&mut r, way)?;
    r.skip(8)?; // extension, size
    let size = r.u32()?;
    r.skip(4)?;
    let blob = r.sub(to_len(size))?;
    (most == len).then_some(blob).ok_or(Short)
}

fn objref_head(r: &mut Reader, way: &Way) -> Result<(), Short> {
    let is_custom = r.array()? == SIGNATURE && r.u32()? == OBJREF_CUSTOM;
    let is_this_way = uuid(r)? == way.interface && uuid(r)? == way.class;
    (is_custom && is_this_way).then_some(()).ok_or(Short)
}

/// The property that the blob's CustomHeader (2.2.22.1) lists under this class.
fn property<'a>(blob: Reader<'a>, wanted: Uuid) -> Result<Reader<'a>, Short> {
    let mut header = serialized(&mut blob.clone())?;
    header.skip(4)?;
    let header_len = header.u32()?;
    header.skip(8)?;
    let count = header.u32()?;
    header.skip(16)?;
    pointer(&mut header)?;
    pointer(&mut header)?;
    header.skip(4)?;
    if count > MAX_PROPERTIES || header.u32()? != count {
        return Err(Short);
    }
    let mut classes = header.sub(to_len(count) * 16)?;
    if header.u32()? != count {
        return Err(Short);
    }
    let mut properties = blob;
    properties.skip(to_len(header_len))?;
    for _ in 0..count {
        let mut property = properties.sub(to_len(header.u32()?))?;
        if uuid(&mut classes)? == wanted {
            return serialized(&mut property);
        }
    }
    Err(Short)
}

/// What is inside the headers of type serialization version 1 (MS-RPCE 2.2.6.1, 2.2.6.2).
fn serialized<'a>(r: &mut Reader<'a>) -> Result<Reader<'a>, Short> {
    let [version, endianness] = r.array()?;
    let order = match (version, endianness) {
        (1, 0x10) => Order::Little,
        (1, 0x00) => Order::Big,
        _ => return Err(Short),
    };
    let mut headers = Reader::new(r.take(14)?, order);
    let common_len = headers.u16()?;
    headers.skip(4)?;
    let len = to_len(headers.u32()?);
    let object = Reader::new(r.take(len)?, order);
    (common_len == 8).then_some(object).ok_or(Short)
}

fn to_len(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
