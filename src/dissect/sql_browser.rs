//! SQL Server Resolution Protocol (MC-SQLR): which instances of SQL Server a host has, and where
//! they listen.

use crate::dissect::messages::Sayings;
use crate::dissect::read::{Reader, Short};
use crate::dissect::{
    Definition, Dissector, Example, FirstBytes, Input, Look, Opening, Probe, Progress, Role, names,
    probe_datagram,
};
use crate::model::evidence::{Claim, Direction, Endpoint};
use crate::model::five_tuple::IpProtocol;
use crate::model::protocol::{Field, Protocol};

/// SQL Server Resolution Protocol (MC-SQLR).
pub const PROTOCOL: Protocol = Protocol::new(&["sql-browser", "SQL Browser"]);

/// The name of an instance.
pub const INSTANCE: Field = Field::new(&["sql-instance", "SQL Server instance"]);

/// The name of an instance that a client asks for. The browser answers for it; it is not it.
const WANTED: Field = Field::new(&["sql-instance-wanted", "asks for SQL Server instance"]);

/// The version of an instance: `9.00.1399.06`.
const VERSION: Field = Field::new(&["sql-version", "SQL Server version"]);

/// SQL Server Browser over UDP.
pub const DATAGRAM: Definition = Definition {
    protocol: PROTOCOL,
    input: Input::Datagram,
    usual_ports: &[PORT],
    begins: FirstBytes::of(b"\x02\x03\x04\x05\x0f"),
    probe,
    follow: Some(|_| Box::new(Instances::default())),
    says: &[WANTED, INSTANCE, VERSION],
    examples: &[
        Example {
            port: 1434,
            client: b"\x03",
            server: b"\x05\x17\0ServerName;SQL1;tcp;1;;",
        },
        Example {
            port: 1434,
            client: b"\x04MSSQL\0",
            server: b"",
        },
    ],
};

const PORT: u16 = 1434;

fn probe(opening: &Opening) -> Probe {
    match probe_datagram(opening, answer) {
        // Questions are a byte or a word: only their port makes them one.
        Probe::No if opening.has_port(PORT) => probe_datagram(opening, question),
        answer => answer,
    }
}

fn answer(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::little(bytes);
    let (kind, len) = (r.u8()?, usize::from(r.u16()?));
    if kind == ANSWER && is_port(bytes).is_some() {
        return Ok(Look::By(Role::Server));
    }
    let lists_a_server = r.left() == len && r.rest().starts_with(b"ServerName;");
    Ok(match kind == ANSWER && lists_a_server {
        true => Look::By(Role::Server),
        false => Look::Other,
    })
}

fn question(bytes: &[u8]) -> Result<Look, Short> {
    let mut r = Reader::little(bytes);
    let kind = r.u8()?;
    if kind == 0x0f && r.u8()? != 1 {
        return Ok(Look::Other);
    }
    let instance = r.rest();
    // Instance names have at most 32 bytes, and an end that some clients leave out.
    let fits = match kind {
        2 | 3 => instance.is_empty(),
        4 | 0x0f => (1..=33).contains(&instance.len()) && instance.iter().all(|byte| *byte < 0x7f),
        _ => false,
    };
    Ok(match fits {
        true => Look::By(Role::Client),
        false => Look::Other,
    })
}

/// SVR_RESP.
const ANSWER: u8 = 5;

/// The port of an instance's dedicated administrator connection, if that is what an answer says
/// (MC-SQLR 2.2.6): six bytes, a version of 1, the port.
fn is_port(answer: &[u8]) -> Option<u16> {
    let [ANSWER, 6, 0, 1, low, high] = *answer else {
        return None;
    };
    Some(u16::from_le_bytes([low, high])).filter(|port| *port != 0)
}

/// How many pairs of a name and a value are read of an answer, which 64 KiB hold: of some hundred
/// instances.
const MAX_PAIRS: usize = 1024;

/// How many endpoints are told of one flow: an instance has two, and Windows 50 instances.
const MAX_HOSTED: usize = 100;

/// How many different questions of one flow are answered: one for each instance.
const MAX_ANSWERED: usize = 100;

/// Reads the first answer to each question; whoever answers what nobody asked, or again, may be
/// anybody. So may be who answers a question to everybody, which is a flow of its own.
#[derive(Default)]
struct Instances {
    said: Sayings,
    open: Option<Question>,
    /// Questions that were answered.
    answered: Vec<Vec<u8>>,
    hosted: Vec<(String, Endpoint)>,
}

/// A question without its answer.
struct Question {
    by: Direction,
    bytes: Vec<u8>,
    /// The instance that it names: an answer of a port alone is about that one.
    instance: String,
}

impl Dissector for Instances {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let is_answer = answer(bytes) == Ok(Look::By(Role::Server));
        if is_answer && let Some(asked) = self.open.take_if(|asked| asked.by != from) {
            match is_port(bytes) {
                Some(port) => self.host(&asked.instance, tcp(port), found),
                None => self.list(from, bytes, found),
            }
            self.answered.push(asked.bytes);
        } else if !is_answer && question(bytes) == Ok(Look::By(Role::Client)) {
            self.ask(from, bytes, found);
        }
        Progress::More
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}
}

impl Instances {
    /// CLNT_UCAST_INST and CLNT_UCAST_DAC name an instance (MC-SQLR 2.2.3, 2.2.4).
    fn ask(&mut self, from: Direction, question: &[u8], found: &mut Vec<Claim>) {
        let mut r = Reader::big(question);
        let name_at = match r.u8() {
            Ok(4) => Some(0),
            Ok(0x0f) => Some(1),
            _ => None,
        };
        let instance = name_at.map(|name_at| {
            r.up_to(name_at);
            names::text(r.rest())
        });
        if let Some(name) = &instance {
            self.said.say(WANTED, name.clone(), from, found);
        }
        let is_known = self.answered.iter().any(|known| known == question);
        if !is_known && self.answered.len() < MAX_ANSWERED {
            self.open = Some(Question {
                by: from,
                bytes: question.to_vec(),
                instance: instance.unwrap_or_default(),
            });
        }
    }

    /// Pairs of a name and a value, with semicolons between them; an empty name ends an instance
    /// (MC-SQLR 2.2.5).
    fn list(&mut self, from: Direction, answer: &[u8], found: &mut Vec<Claim>) {
        let mut r = Reader::big(answer);
        r.up_to(3);
        let mut instance = String::new();
        for _ in 0..MAX_PAIRS {
            let Ok(key) = r.until(b';') else {
                return;
            };
            if key.is_empty() {
                continue;
            }
            let Ok(value) = r.until(b';').map(names::text) else {
                return;
            };
            match key {
                b"ServerName" => instance.clear(),
                b"InstanceName" => instance = value,
                b"Version" => self.said.say(VERSION, value, from, found),
                b"tcp" => match value.parse() {
                    Ok(port) if port != 0 => self.host(&instance, tcp(port), found),
                    _ => {}
                },
                // With the name of its host: `\\\\SQL1\\pipe\\MSSQL$UDDI\\sql\\query`.
                b"np" => {
                    let lower = value.to_lowercase();
                    let pipe = lower
                        .find("\\pipe\\")
                        .and_then(|at| names::pipe(&lower[at..]));
                    if let Some(pipe) = pipe {
                        self.host(&instance, Endpoint::Pipe(pipe.into()), found);
                    }
                }
                _ => {}
            }
        }
    }

    fn host(&mut self, instance: &str, at: Endpoint, found: &mut Vec<Claim>) {
        let hosted = (instance.to_owned(), at);
        if instance.is_empty() || self.hosted.len() >= MAX_HOSTED || self.hosted.contains(&hosted) {
            return;
        }
        let (name, at) = hosted.clone();
        self.hosted.push(hosted);
        let field = INSTANCE;
        found.push(Claim::Hosted { field, name, at });
    }
}

fn tcp(port: u16) -> Endpoint {
    Endpoint::Port {
        address: None,
        protocol: IpProtocol::TCP,
        port,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Direction::{Forward, Reverse};

    fn answered(list: &str) -> Vec<u8> {
        [
            &[5],
            &(list.len() as u16).to_le_bytes()[..],
            list.as_bytes(),
        ]
        .concat()
    }

    fn hosted(talk: &[(Direction, &[u8])]) -> Vec<(String, Endpoint)> {
        let (mut instances, mut found) = (Instances::default(), Vec::new());
        for (from, bytes) in talk {
            instances.feed(*from, bytes, &mut found);
        }
        let hosted = found.into_iter().filter_map(|claim| match claim {
            Claim::Hosted { name, at, .. } => Some((name, at)),
            _ => None,
        });
        hosted.collect()
    }

    /// CLNT_UCAST_EX.
    const QUESTION: &[u8] = b"\x03";

    /// What the answer to a client that asks for all of them hosts.
    fn listed(answer: &[u8]) -> Vec<(String, Endpoint)> {
        hosted(&[(Forward, QUESTION), (Reverse, answer)])
    }

    const LIST: &str = "ServerName;SQL1;InstanceName;MSSQLSERVER;IsClustered;No;Version;\
        8.00.194;tcp;1433;np;\\\\SQL1\\pipe\\sql\\query;;ServerName;SQL1;InstanceName;UDDI;\
        IsClustered;No;Version;8.00.194;np;\\\\SQL1\\PIPE\\MSSQL$UDDI\\sql\\query;tcp;1047;;";

    #[test]
    fn every_instance_is_told_of_with_its_port_and_its_pipe() {
        let pipe = |name: &str| Endpoint::Pipe(name.into());
        let all = [
            ("MSSQLSERVER".to_owned(), tcp(1433)),
            ("MSSQLSERVER".to_owned(), pipe("sql\\query")),
            ("UDDI".to_owned(), pipe("mssql$uddi\\sql\\query")),
            ("UDDI".to_owned(), tcp(1047)),
        ];
        assert_eq!(listed(&answered(LIST)), all);
    }

    #[test]
    fn only_the_first_answer_to_who_asked_is_heard() {
        let (first, other) = (
            answered(LIST),
            answered("ServerName;S;InstanceName;X;tcp;5;;"),
        );
        let all = listed(&first);
        let (first, other): (&[u8], &[u8]) = (&first, &other);
        let asks = (Forward, QUESTION);
        assert_eq!(hosted(&[asks, (Reverse, first), (Reverse, other)]), all);
        // Asked once more, it may come once more.
        let talk = [asks, asks, (Reverse, first), asks, (Reverse, other)];
        assert_eq!(hosted(&talk), all);
        for talk in [
            &[(Reverse, first)][..],
            &[(Reverse, first), asks],
            &[asks, (Forward, first)],
        ] {
            assert!(hosted(talk).is_empty());
        }
    }

    #[test]
    fn an_administrators_port_belongs_to_the_instance_that_was_asked_for() {
        let answer: &[u8] = b"\x05\x06\0\x01\x9a\x05";
        assert_eq!(answer_look(answer), Ok(Look::By(Role::Server)));
        let talk: [(_, &[u8]); 2] = [(Forward, b"\x0f\x01UDDI\0"), (Reverse, answer)];
        assert_eq!(hosted(&talk), [("UDDI".to_owned(), tcp(1434))]);
        assert!(hosted(&talk[1..]).is_empty());
    }

    fn answer_look(bytes: &[u8]) -> Result<Look, Short> {
        super::answer(bytes)
    }

    #[test]
    fn what_lists_no_server_hosts_nothing() {
        let no_port = answered("ServerName;SQL1;InstanceName;X;tcp;0;;");
        assert!(listed(&no_port).is_empty());
        let no_name = answered("ServerName;SQL1;tcp;1433;;");
        assert!(listed(&no_name).is_empty());
        assert!(listed(b"\x05\xff\xffServerName;SQL1").is_empty());
        assert_eq!(answer_look(b"\x05\x06\0\x01\0\0"), Ok(Look::Other));
    }

    #[test]
    fn a_list_torn_anywhere_tells_nothing_wrong() {
        let all = listed(&answered(LIST));
        for len in 0..LIST.len() {
            // As its sender would have cut it: with its own length.
            let cut = listed(&answered(&LIST[..len]));
            assert!(all.starts_with(&cut), "{len}");
            let torn = answered(LIST);
            assert!(listed(Reader::big(&torn).up_to(len)).is_empty());
        }
    }

    #[test]
    fn more_instances_than_the_bound_are_not_told_of() {
        let one = |n: usize| format!("ServerName;S;InstanceName;I{n};tcp;{};;", n + 1);
        let many: String = (0..1000).map(one).collect();
        assert_eq!(listed(&answered(&many)).len(), MAX_HOSTED);
    }
}
