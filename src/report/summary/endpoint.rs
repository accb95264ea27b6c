//! The endpoint map's columns.

use crate::attribute::endpoint_row::EndpointRow;
use crate::report::column::{Capture, Column, Value};

/// The columns of a line of the endpoint map, in order.
pub const ENDPOINT: &[Column<EndpointRow>] = &[
    Column {
        name: "server",
        about: "IP address of the server",
        of: |_, row| Value::Address(row.server),
    },
    Column {
        name: "protocol",
        about: "tcp or udp",
        of: |_, row| Value::Made(row.protocol.to_string()),
    },
    Column {
        name: "port",
        about: "Port on which it listens; null for a pipe that is known by name alone",
        of: |_, row| match row.port {
            0 => Value::Null,
            port => Value::Number(port.into()),
        },
    },
    Column {
        name: "pipe",
        about: "Pipe on which it listens; null for a port",
        of: |_, row| row.pipe.as_deref().map_or(Value::Null, Value::Wire),
    },
    Column {
        name: "interfaces",
        about: "RPC interfaces that listen there",
        of: |_, row| Value::Interfaces(&row.interfaces),
    },
    Column {
        name: "services",
        about: "Services behind them, as far as the catalog knows",
        of: |_, row| Value::Services(&row.services),
    },
    Column {
        name: "how",
        about: "Kind of evidence that taught it",
        of: |_, row| Value::Text(row.how.name()),
    },
    Column {
        name: "said_by",
        about: "Host that said so, where that names no flow; else null",
        of: |_, row| row.said_by.map_or(Value::Null, Value::Address),
    },
    Column {
        name: "frame",
        about: "Frame that taught it, numbered as tshark's frame.number",
        of: |_, row| Value::Number(row.learned.number),
    },
    Column {
        name: "capture",
        about: "Capture file or device of that frame",
        of: |context, row| Value::text(context.capture(row.learned.capture).map(Capture::name)),
    },
    Column {
        name: "since",
        about: "Time of that frame, RFC 3339 in UTC",
        of: |_, row| Value::Time(row.since),
    },
    Column {
        name: "until",
        about: "Time at which the port was assigned anew; null while it still holds",
        of: |_, row| row.until.map_or(Value::Null, Value::Time),
    },
];
