//! Tables for people: what fits a terminal, in units that read well, safe to look at.
//!
//! Tables are always coloured; the stream that they are written to takes the colour out where it
//! is not wanted.

use std::borrow::Cow;
use std::net::IpAddr;

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets,
};

use crate::attribute::endpoint_row::EndpointRow;
use crate::attribute::label::{Basis, LabelledFlow};
use crate::catalog::ServiceId;
use crate::report::column::Context;
use crate::report::escape::escape;
use crate::report::summary::host::HostRow;
use crate::report::summary::service::{BASES, Count, Group, ServiceRow};
use crate::report::why::why;

/// How wide a table may be, in characters; none: as wide as its content.
pub type Width = Option<u16>;

/// Who is talking: a row a service.
pub fn services(context: Context, width: Width, rows: &[ServiceRow]) -> String {
    let heads = [
        "service", "#flows", "#clients", "#servers", "#packets", "#bytes", "known by",
    ];
    let mut table = table(&heads);
    for row in rows {
        let unknown = row.service().is_none();
        let name = service_cell(context, row);
        table.add_row(vec![
            match (unknown, row.reached.is_some()) {
                (true, _) | (_, true) => Cell::new(name).add_attribute(Attribute::Dim),
                (false, false) => Cell::new(name),
            },
            number(row.flows.to_string()),
            number(count(row.clients)),
            number(count(row.servers)),
            number(row.packets.map_or(String::new(), |n| n.to_string())),
            number(bytes(row.bytes)),
            Cell::new(known_by(context, row)).fg(colour(strongest(row))),
        ]);
    }
    finished(table, width, &[0, 6])
}

/// One flow as a row of [`flows`], its texts made so that the flow can go.
pub struct FlowCells {
    basis: Basis,
    cells: [String; 7],
}

impl FlowCells {
    /// The row of this flow.
    pub fn new(context: Context, flow: &LabelledFlow) -> FlowCells {
        let label = &flow.label;
        FlowCells {
            basis: label.basis,
            cells: [
                flow.client().address.to_string(),
                server(flow),
                label.service.map_or("(unknown)".into(), |id| {
                    escape(context.service_id(id)).into_owned()
                }),
                escape(label.application.as_deref().unwrap_or("")).into_owned(),
                flow.flow.packets.iter().sum::<u64>().to_string(),
                bytes(flow.flow.bytes.iter().sum()),
                why(context, flow),
            ],
        }
    }

    /// The row as a line of its own, for flows that are shown one by one as they end.
    pub fn line(&self) -> String {
        let [client, server, service, application, packets, bytes, why] = &self.cells;
        let colour = ansi(self.basis);
        format!(
            "{client:>15} → {server:<25} {colour}{service:<16}{colour:#} {application:<20} \
             {packets:>6} {bytes:>8}  {why}"
        )
    }
}

/// The names of the columns of [`FlowCells::line`].
pub fn line_heads() -> String {
    let bold = anstyle::Style::new().bold();
    format!(
        "{bold}{:>15}   {:<25} {:<16} {:<20} {:>6} {:>8}  why{bold:#}",
        "client", "server", "service", "application", "packets", "bytes"
    )
}

/// Columns that the reason should have at least, to stand in a column of its own.
const WHY: usize = 30;

/// A row a flow. Where there is no room for the reason beside it, it stands below.
pub fn flows(width: Width, rows: &[FlowCells]) -> String {
    let beside = table_of_flows(rows, true);
    let widths = beside.column_max_content_widths();
    let least: usize = (widths.iter().rev().skip(1))
        .map(|column| usize::from(*column) + GAP)
        .sum();
    if width.is_none_or(|width| least + WHY <= width.into()) {
        return finished(beside, width, &[widths.len() - 1]);
    }
    let mut text = String::new();
    let table = table_of_flows(rows, false);
    let lines = finished(table, None, &[]);
    for (place, line) in lines.lines().enumerate() {
        text += line;
        text.push('\n');
        if let Some(row) = place.checked_sub(1).and_then(|place| rows.get(place)) {
            let [_, _, _, application, _, _, why] = &row.cells;
            let gap = if application.is_empty() { "" } else { ": " };
            text += &format!("    {application}{gap}{why}\n");
        }
    }
    text
}

fn table_of_flows(rows: &[FlowCells], whole: bool) -> Table {
    let heads = match whole {
        true => &FLOW_HEADS[..],
        false => &["client", "server", "service", "#packets", "#bytes"],
    };
    let mut table = table(heads);
    for row in rows {
        let [client, server, service, application, packets, bytes, why] = &row.cells;
        let mut cells = vec![
            Cell::new(client),
            Cell::new(server),
            Cell::new(service).fg(colour(row.basis)),
        ];
        if whole {
            cells.push(Cell::new(application));
        }
        cells.extend([number(packets.clone()), number(bytes.clone())]);
        if whole {
            cells.push(Cell::new(why));
        }
        table.add_row(cells);
    }
    table
}

const FLOW_HEADS: [&str; 7] = [
    "client",
    "server",
    "service",
    "application",
    "#packets",
    "#bytes",
    "why",
];

/// A row a host.
pub fn hosts(context: Context, width: Width, rows: &[HostRow]) -> String {
    let heads = ["host", "offers", "uses", "#flows", "#bytes", "system"];
    let mut table = table(&heads);
    for row in rows {
        let host = row.host.map_or("(other hosts)".into(), |h| h.to_string());
        table.add_row(vec![
            Cell::new(host),
            Cell::new(ids(context, &row.offers)),
            Cell::new(ids(context, &row.uses)),
            number(row.flows.to_string()),
            number(bytes(row.bytes)),
            Cell::new(system(row)),
        ]);
    }
    finished(table, width, &[1, 2, 5])
}

/// The endpoint map.
pub fn endpoints(context: Context, width: Width, rows: &[EndpointRow]) -> String {
    let heads = [
        "server",
        "#endpoint",
        "services",
        "interfaces",
        "learned from",
    ];
    let mut table = table(&heads);
    for row in rows {
        table.add_row(vec![
            Cell::new(row.server),
            number(endpoint(row)),
            Cell::new(ids(context, &row.services)),
            Cell::new(interfaces(context, row)),
            Cell::new(learned(context, row)),
        ]);
    }
    finished(table, width, &[2, 3, 4])
}

/// An empty table. A head that begins with `#` is of a column of numbers.
fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.enforce_styling();
    table.style_text_only();
    table.set_header(heads.iter().map(|head| {
        let (text, alignment) = match head.strip_prefix('#') {
            Some(text) => (text, CellAlignment::Right),
            None => (*head, CellAlignment::Left),
        };
        let cell = Cell::new(text).set_alignment(alignment);
        cell.add_attribute(Attribute::Bold)
    }));
    table
}

/// Spaces between columns.
const GAP: usize = 2;

/// The table as text, of this width at most if the columns in `wrapped` can make room; the others
/// stay as wide as their content.
fn finished(mut table: Table, width: Width, wrapped: &[usize]) -> String {
    match width {
        Some(width) => {
            table.set_width(width);
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP as u16));
        if !wrapped.contains(&place) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

fn number(text: String) -> Cell {
    Cell::new_owned(text).set_alignment(CellAlignment::Right)
}

fn service_cell(context: Context, row: &ServiceRow) -> String {
    match (row.reached, &row.group) {
        (Some(reached), _) => {
            let via = (reached.via).map_or("also".into(), |v| format!("via {}", v.to_uppercase()));
            let name = (reached.service).map_or(unknown(row), |id| titled(context, id));
            // A space would be lost where the cell is wrapped.
            format!("└ {via}: {name}")
        }
        (None, Group::Service(service)) => titled(context, *service),
        (None, Group::Unknown { .. }) => unknown(row),
    }
}

fn unknown(row: &ServiceRow) -> String {
    format!("(unknown) {}", escape(&row.applications.join(", ")))
}

/// A service's display name and id; the id alone where they are one word.
fn titled(context: Context, service: ServiceId) -> String {
    let (id, name) = (context.service_id(service), context.service_name(service));
    match id.eq_ignore_ascii_case(name) {
        true => escape(name).into_owned(),
        false => format!("{} ({})", escape(name), escape(id)),
    }
}

fn known_by(context: Context, row: &ServiceRow) -> String {
    if row.reached.is_none() && row.service().is_none() {
        return match row.candidates() {
            [] => "nothing".to_owned(),
            candidates => format!("candidates {}", ids(context, candidates)),
        };
    }
    let known = BASES.iter().zip(row.known).filter(|(_, flows)| *flows > 0);
    let parts: Vec<_> = known
        .map(|(basis, flows)| format!("{} {flows}", basis.name()))
        .collect();
    parts.join(", ")
}

fn strongest(row: &ServiceRow) -> Basis {
    let known = BASES.iter().zip(row.known).find(|(_, flows)| *flows > 0);
    known.map_or(Basis::None, |(basis, _)| *basis)
}

fn colour(basis: Basis) -> Color {
    match basis {
        Basis::Content => Color::DarkGreen,
        Basis::Endpoint => Color::DarkCyan,
        Basis::Port | Basis::SharedPort | Basis::IpProtocol => Color::DarkYellow,
        Basis::None => Color::DarkGrey,
    }
}

fn ansi(basis: Basis) -> anstyle::Style {
    let colour = match basis {
        Basis::Content => anstyle::AnsiColor::Green,
        Basis::Endpoint => anstyle::AnsiColor::Cyan,
        Basis::Port | Basis::SharedPort | Basis::IpProtocol => anstyle::AnsiColor::Yellow,
        Basis::None => anstyle::AnsiColor::BrightBlack,
    };
    colour.on_default()
}

/// `192.0.2.1:445/tcp`, or `192.0.2.1 gre`.
fn server(flow: &LabelledFlow) -> String {
    let protocol = flow.flow.tuple.protocol;
    match protocol.has_ports() {
        true => format!("{}/{protocol}", flow.server()),
        false => format!("{} {protocol}", flow.server().address),
    }
}

fn endpoint(row: &EndpointRow) -> String {
    match &row.pipe {
        Some(pipe) => format!("pipe {}", escape(pipe)),
        None => format!("{}/{}", row.port, row.protocol),
    }
}

fn interfaces(context: Context, row: &EndpointRow) -> String {
    let name = |interface: &_| match context.interface_name(*interface) {
        Some(name) => escape(name).into_owned(),
        None => interface.to_string(),
    };
    row.interfaces
        .iter()
        .map(name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn learned(context: Context, row: &EndpointRow) -> String {
    let mut text = format!("{}, frame {}", row.how.name(), row.learned.number);
    // The only capture goes without saying.
    if context.captures.len() > 1
        && let Some(capture) = context.capture(row.learned.capture)
    {
        text += &format!(" of {}", escape(capture.name()));
    }
    if row.until.is_some() {
        text += "; superseded later";
    }
    text
}

fn ids(context: Context, services: &[ServiceId]) -> String {
    let ids = services.iter().map(|id| escape(context.service_id(*id)));
    ids.collect::<Vec<Cow<str>>>().join(", ")
}

fn system(row: &HostRow) -> String {
    let ttl = row.ttl.map(|ttl| format!("{} {ttl}", hops(row.host)));
    let product = row
        .product
        .as_deref()
        .map(|product| escape(product).into_owned());
    [
        row.system.as_deref().map(|name| escape(name).into_owned()),
        product,
        ttl,
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

fn hops(host: Option<IpAddr>) -> &'static str {
    match host {
        Some(IpAddr::V6(_)) => "hop limit",
        _ => "ttl",
    }
}

fn count(count: Count) -> String {
    match count.at_least {
        true => format!("{}+", count.told_apart),
        false => count.told_apart.to_string(),
    }
}

/// Bytes in decimal units, three or four digits: `999 B`, `1.2 kB`, `34.5 MB`.
pub fn bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) / 100;
    for unit in ["kB", "MB", "GB", "TB", "PB"] {
        if tenths < 10_000 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        tenths /= 1000;
    }
    format!("{}.{} EB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::attribute::label::EvidenceKind;
    use crate::catalog::Catalog;
    use crate::model::five_tuple::IpProtocol;
    use crate::model::time::Timestamp;
    use crate::report::sample::{
        SAMR, captures, catalog, frame, named, service, smb_session, unknown,
    };
    use crate::report::summary::host::ByHost;
    use crate::report::summary::service::ByService;

    /// A small office.
    fn office(catalog: &Catalog) -> Vec<LabelledFlow> {
        let named = |client, port, id, basis| named(client, port, service(catalog, id), basis);
        (2..5)
            .flat_map(|client| {
                let mut web = unknown(client, 443);
                web.label.application = Some("HTTPS".to_owned());
                web.label.candidates = vec![service(catalog, "W3SVC")];
                [
                    named(client, 49_152, "LSASS", Basis::Content),
                    named(client, 49_155, "LSASS", Basis::Endpoint),
                    named(client, 135, "RpcSs", Basis::SharedPort),
                    smb_session(catalog, client),
                    unknown(client, 50_123),
                    web,
                ]
            })
            .collect()
    }

    fn endpoint_rows(catalog: &Catalog) -> Vec<EndpointRow> {
        vec![EndpointRow {
            server: [10, 0, 0, 1].into(),
            protocol: IpProtocol::TCP,
            port: 49_155,
            pipe: None,
            interfaces: vec![SAMR],
            services: vec![service(catalog, "LSASS")],
            learned: frame(11),
            how: EvidenceKind::EndpointMap,
            since: Timestamp::from_nanos(0),
            until: None,
        }]
    }

    /// Every table at this width, without its colours.
    fn tables(width: Width) -> [String; 4] {
        let (catalog, captures) = (catalog(), captures());
        let context = Context::new(&catalog, &captures);
        let (mut services_by, mut hosts_by) = (ByService::default(), ByHost::default());
        let mut cells = Vec::new();
        for flow in office(&catalog) {
            services_by.add(&flow);
            hosts_by.add(&flow);
            cells.push(FlowCells::new(context, &flow));
        }
        [
            services(context, width, &services_by.rows()),
            flows(width, &cells),
            hosts(context, width, &hosts_by.rows(&[])),
            endpoints(context, width, &endpoint_rows(&catalog)),
        ]
        .map(|table| anstream::adapter::strip_str(&table).to_string())
    }

    #[test]
    fn no_table_is_wider_than_it_may_be() {
        for width in [80, 120] {
            for line in tables(Some(width)).iter().flat_map(|table| table.lines()) {
                assert!(line.chars().count() <= width.into(), "{width}: {line}");
            }
        }
    }

    #[test]
    fn a_wide_table_has_a_line_for_each_row() {
        let [services, flows, hosts, endpoints] = tables(Some(150));
        assert_eq!(services.lines().count(), 1 + 6, "{services}");
        assert_eq!(flows.lines().count(), 1 + 18, "{flows}");
        assert_eq!(hosts.lines().count(), 1 + 4, "{hosts}");
        assert_eq!(endpoints.lines().count(), 1 + 1, "{endpoints}");
    }

    #[test]
    fn what_a_listener_carried_stands_under_it() {
        let [services, ..] = tables(None);
        let lines: Vec<_> = services.lines().collect();
        let listener = lines
            .iter()
            .position(|line| line.starts_with("Server (lanmanserver)"));
        let below = lines[listener.expect("it is there") + 1];
        assert!(
            below.starts_with("└ via SMB: Print Spooler (Spooler)"),
            "{below}"
        );
    }

    #[test]
    fn unknown_flows_say_what_they_could_be() {
        let [services, ..] = tables(None);
        assert!(services.contains("(unknown) tcp"), "{services}");
        let web = services
            .lines()
            .find(|line| line.starts_with("(unknown) HTTPS"));
        assert!(
            web.is_some_and(|line| line.ends_with("candidates W3SVC")),
            "{services}"
        );
    }

    #[test]
    fn a_narrow_table_of_flows_has_the_reason_below_the_flow() {
        let [_, flows, ..] = tables(Some(80));
        assert!(
            flows
                .lines()
                .any(|line| line == "    RPC: BIND accepted (samr), frame 16"),
            "{flows}"
        );
    }

    #[test]
    fn bytes_read_in_units_of_a_thousand() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }
}
