//! What a column is: a name, a meaning, and how to get its value from a row. Each kind of row has
//! one list of columns, and every format walks that list.

use std::net::IpAddr;
use std::time::Duration;

use crate::attribute::label::{Ground, Reached};
use crate::catalog::{Catalog, ServiceId};
use crate::flow::community_id::CommunityId;
use crate::model::packet::{CaptureId, Frame};
use crate::model::time::Timestamp;
use crate::model::uuid::{Interface, Uuid};

/// A column of rows of type `R`.
pub struct Column<R> {
    /// Its name in every format: lower case, flat.
    pub name: &'static str,
    /// What it means, in one sentence, with its unit.
    pub about: &'static str,
    /// Gets its value from a row.
    pub of: for<'a> fn(Context<'a>, &'a R) -> Value<'a>,
}

/// A value, before a format gives it its looks.
pub enum Value<'a> {
    /// There is none.
    Null,
    /// A count.
    Number(u64),
    /// A moment.
    Time(Timestamp),
    /// A span of time, in seconds.
    Seconds(Duration),
    /// An address.
    Address(IpAddr),
    /// Text of ours, the catalog's or the user's.
    Text(&'a str),
    /// The same, made for this row.
    Made(String),
    /// A UUID.
    Uuid(Uuid),
    /// A major and a minor version.
    Version(u16, u16),
    /// What joins rows to other tools'.
    CommunityId(CommunityId),
    /// Text that may hold anything a peer sent.
    Wire(&'a str),
    /// Several such texts.
    Wires(&'a [String]),
    /// RPC interfaces.
    Interfaces(&'a [Interface]),
    /// Services of the catalog.
    Services(&'a [ServiceId]),
    /// Services that a flow reached.
    Reached(&'a [Reached]),
    /// Lines of evidence.
    Evidence(&'a [Ground]),
}

impl<'a> Value<'a> {
    /// The number, if there is one.
    pub fn number(number: Option<impl Into<u64>>) -> Value<'a> {
        number.map_or(Value::Null, |number| Value::Number(number.into()))
    }

    /// The text, if there is any.
    pub fn text(text: Option<&'a str>) -> Value<'a> {
        text.map_or(Value::Null, Value::Text)
    }

    /// A span of time in whole microseconds, cut, if there is one.
    pub fn micros(span: Option<Duration>) -> Value<'a> {
        Value::number(span.map(|span| u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// Where packets came from, as the rows name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capture {
    /// A capture file, by the name under which it was found.
    File(String),
    /// A device, by libpcap's name for it.
    Device(String),
}

impl Capture {
    /// The file's or device's name.
    pub fn name(&self) -> &str {
        match self {
            Capture::File(name) | Capture::Device(name) => name,
        }
    }

    /// The device's name, if it is one.
    pub fn device(&self) -> Option<&str> {
        match self {
            Capture::File(_) => None,
            Capture::Device(name) => Some(name),
        }
    }
}

/// What rows refer to by number: the catalog's services and the run's captures.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The catalog by which the flows were labelled.
    pub catalog: &'a Catalog,
    /// The captures of the run, in the order of their `CaptureId`s.
    pub captures: &'a [Capture],
    /// The capture that the row at hand already names: evidence in it does not name it again.
    pub own: Option<CaptureId>,
    /// The pipes through which the interfaces at hand were reached: one UUID may mean two.
    pub pipes: &'a [String],
}

impl<'a> Context<'a> {
    /// A context for rows of these captures, labelled by this catalog.
    pub fn new(catalog: &'a Catalog, captures: &'a [Capture]) -> Context<'a> {
        Context {
            catalog,
            captures,
            own: None,
            pipes: &[],
        }
    }

    /// The same, within a row that names `own` itself.
    pub fn within(self, own: CaptureId) -> Context<'a> {
        Context {
            own: Some(own),
            ..self
        }
    }

    /// The same, for interfaces that were reached through these pipes.
    pub fn through(self, pipes: &'a [String]) -> Context<'a> {
        Context { pipes, ..self }
    }

    /// The catalog id of a service.
    pub fn service_id(self, id: ServiceId) -> &'a str {
        &self.catalog.service(id).id
    }

    /// The display name of a service.
    pub fn service_name(self, id: ServiceId) -> &'a str {
        &self.catalog.service(id).name
    }

    /// The catalog's name for an interface.
    pub fn interface_name(self, interface: Interface) -> Option<&'a str> {
        let pipe = self.pipes.first().map(String::as_str);
        self.catalog.interface(interface, pipe)?.name.as_deref()
    }

    /// The capture of this number, if the run knows it.
    pub fn capture(self, id: CaptureId) -> Option<&'a Capture> {
        self.captures.get(id.0 as usize)
    }

    /// The name of the capture that holds a frame, unless the row names it already.
    pub fn other_capture(self, frame: Option<Frame>) -> Option<&'a str> {
        let id = frame?.capture;
        match self.own == Some(id) {
            true => None,
            false => self.capture(id).map(Capture::name),
        }
    }
}
