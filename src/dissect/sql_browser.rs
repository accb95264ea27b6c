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

/// Bytes of answers that are remembered of one flow: the longest that there is. What would be more is
/// not believed.
const MAX_REMEMBERED: usize = 64 * 1024;

/// Reads the first answer to each question; whoever answers what nobody asked may be anybody. So may
/// be who answers a question to everybody, which is a flow of its own. Answers bear no number: where
/// one comes that no question waits for, or that fits none before it, nobody can say which are the
/// server's, and none is believed.
#[derive(Default)]
struct Instances {
    said: Sayings,
    /// Who asks.
    asker: Option<Direction>,
    open: Option<Question>,
    /// Questions that were answered.
    answered: Vec<Vec<u8>>,
    /// The answers that were believed.
    answers: Vec<Vec<u8>>,
    /// What they told of.
    hosted: Vec<Hosted>,
    /// One of them told of all instances.
    is_complete: bool,
    /// The port of one instance's administrators that was told of.
    administrators: Option<Hosted>,
    /// There were answers that differ.
    is_contested: bool,
}

/// An instance, and where it listens.
type Hosted = (String, Endpoint);

/// What an answer says.
#[derive(Default)]
struct Answer {
    hosted: Vec<Hosted>,
    versions: Vec<String>,
}

/// A question without its answer.
struct Question {
    bytes: Vec<u8>,
    /// The instance that it names: an answer of a port alone is about that one.
    instance: Option<String>,
}

impl Question {
    /// Whether an answer can be one to this question.
    fn fits(&self, answer: &[u8], said: &Answer) -> bool {
        match &self.instance {
            _ if is_port(answer).is_some() => self.asks_for_administrators(),
            _ if self.asks_for_administrators() => false,
            Some(wanted) => said.hosted.iter().all(|(name, _)| is_same(name, wanted)),
            None => true,
        }
    }

    fn asks_for_administrators(&self) -> bool {
        self.bytes.first() == Some(&0x0f)
    }
}

/// Whether two names are of one instance: their case does not count.
fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

impl Dissector for Instances {
    fn feed(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) -> Progress {
        let is_answer = answer(bytes) == Ok(Look::By(Role::Server));
        if is_answer && self.asker == Some(from.reversed()) {
            self.hear(from, bytes, found);
        } else if !is_answer && question(bytes) == Ok(Look::By(Role::Client)) {
            self.ask(from, bytes, found);
        }
        match self.is_contested {
            true => Progress::Done,
            false => Progress::More,
        }
    }

    fn gap(&mut self, _from: Direction, _missing: Option<u64>) {}

    fn finish(&mut self, _found: &mut Vec<Claim>) {}

    fn kept(&self) -> usize {
        self.answers.iter().map(Vec::len).sum()
    }
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
        if *self.asker.get_or_insert(from) == from
            && !is_known
            && self.answered.len() < MAX_ANSWERED
        {
            self.open = Some(Question {
                bytes: question.to_vec(),
                instance,
            });
        }
    }

    /// Believes an answer, or none any more.
    fn hear(&mut self, from: Direction, bytes: &[u8], found: &mut Vec<Claim>) {
        let mut said = read(bytes);
        let asked = self.open.take_if(|asked| asked.fits(bytes, &said));
        if self.answers.iter().any(|known| known == bytes) {
            return;
        }
        let instance = asked.as_ref().and_then(|asked| asked.instance.as_deref());
        if let (Some(port), Some(instance)) = (is_port(bytes), instance) {
            said.host(instance, tcp(port));
        }
        let is_first = self.answers.is_empty();
        match asked {
            None if is_first => {}
            Some(asked) if !self.contradicts(&asked, &said) => {
                if self.kept() + bytes.len() <= MAX_REMEMBERED {
                    self.answers.push(bytes.to_vec());
                    self.believe(from, asked, said, found);
                }
            }
            _ => self.contest(said, found),
        }
    }

    /// Whether an answer to a question says other than those before it.
    fn contradicts(&self, asked: &Question, said: &Answer) -> bool {
        if asked.asks_for_administrators() {
            // These do not say of which instance they are.
            return self.administrators.is_some();
        }
        let is_pipe = |at: &Endpoint| matches!(at, Endpoint::Pipe(_));
        let is_elsewhere = |(name, at): &Hosted| {
            let is_its =
                |known: &&Hosted| is_same(&known.0, name) && is_pipe(&known.1) == is_pipe(at);
            let mut known = self.hosted.iter().filter(is_its).peekable();
            known.peek().is_some() && known.all(|known| known.1 != *at)
        };
        let is_new = |hosted: &Hosted| self.is_complete && !self.hosted.contains(hosted);
        (said.hosted.iter()).any(|hosted| is_elsewhere(hosted) || is_new(hosted))
    }

    fn believe(&mut self, from: Direction, asked: Question, said: Answer, found: &mut Vec<Claim>) {
        for version in said.versions {
            self.said.say(VERSION, version, from, found);
        }
        self.is_complete |= asked.instance.is_none();
        for hosted in said.hosted {
            if asked.asks_for_administrators() {
                self.administrators = Some(hosted.clone());
            } else if self.hosted.contains(&hosted) || self.hosted.len() >= MAX_HOSTED {
                continue;
            } else {
                self.hosted.push(hosted.clone());
            }
            found.push(claim(hosted));
        }
        self.answered.push(asked.bytes);
    }

    /// Takes back what was told, and lets nothing that was said last stand.
    fn contest(&mut self, said: Answer, found: &mut Vec<Claim>) {
        self.is_contested = true;
        let before = self.hosted.drain(..).chain(self.administrators.take());
        found.extend(
            before
                .chain(said.hosted)
                .map(|hosted| claim(hosted).contested()),
        );
    }
}

fn claim((name, at): Hosted) -> Claim {
    Claim::Hosted {
        field: INSTANCE,
        name: name.into(),
        at: Box::new(at),
    }
}

/// Reads what an answer lists: pairs of a name and a value, with semicolons between them; an empty
/// name ends an instance (MC-SQLR 2.2.5).
fn read(answer: &[u8]) -> Answer {
    let mut said = Answer::default();
    if is_port(answer).is_some() {
        return said;
    }
    let mut r = Reader::big(answer);
    r.up_to(3);
    let mut instance = String::new();
    for _ in 0..MAX_PAIRS {
        let Ok(key) = r.until(b';') else {
            break;
        };
        if key.is_empty() {
            continue;
        }
        let Ok(value) = r.until(b';').map(names::text) else {
            break;
        };
        match key {
            b"ServerName" => instance.clear(),
            b"InstanceName" => instance = value,
            b"Version" => said.versions.push(value),
            b"tcp" => match value.parse() {
                Ok(port) if port != 0 => said.host(&instance, tcp(port)),
                _ => {}
            },
            // With the name of its host: `\\\\SQL1\\pipe\\MSSQL$UDDI\\sql\\query`.
            b"np" => {
                let lower = value.to_lowercase();
                let pipe = (lower.find("\\pipe\\")).and_then(|at| names::pipe(&lower[at..]));
                if let Some(pipe) = pipe {
                    said.host(&instance, Endpoint::Pipe(pipe.into()));
                }
            }
            _ => {}
        }
    }
    said
}

impl Answer {
    fn host(&mut self, instance: &str, at: Endpoint) {
        if !instance.is_empty() && self.hosted.len() < MAX_HOSTED {
            self.hosted.push((instance.to_owned(), at));
        }
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
            Claim::Hosted { name, at, .. } => Some((name.into(), *at)),
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
    fn of_answers_that_differ_what_was_told_is_taken_back() {
        let answer = |text: &str| answered(&format!("ServerName;S;InstanceName;{text};;"));
        let (one, moved, other) = (answer("X;tcp;5"), answer("x;tcp;6"), answer("Y;tcp;7"));
        let claim = |name: &str, port| claim((name.to_owned(), tcp(port)));
        for (second, name, port) in [(moved, "x", 6), (other, "Y", 7)] {
            let (mut instances, mut found) = (Instances::default(), Vec::new());
            instances.feed(Forward, QUESTION, &mut found);
            instances.feed(Reverse, &one, &mut found);
            instances.feed(Reverse, &one, &mut found);
            assert_eq!(found, [claim("X", 5)]);
            let progress = instances.feed(Reverse, &second, &mut found);
            let contested = [claim("X", 5).contested(), claim(name, port).contested()];
            assert!(found.ends_with(&contested), "{found:?}");
            assert_eq!(progress, Progress::Done);
        }
    }

    #[test]
    fn answers_that_would_be_too_much_to_remember_are_not_believed() {
        let (mut instances, mut found) = (Instances::default(), Vec::new());
        let fill = "x".repeat(9000);
        for n in 0..20 {
            let text = format!("ServerName;S;InstanceName;I{n};Fill;{fill};tcp;{};;", n + 1);
            instances.feed(Forward, format!("\x04I{n}\0").as_bytes(), &mut found);
            instances.feed(Reverse, &answered(&text), &mut found);
        }
        let hosted = found.iter().filter(|c| matches!(c, Claim::Hosted { .. }));
        assert_eq!(hosted.count(), MAX_REMEMBERED / 9000);
        assert!(instances.kept() <= MAX_REMEMBERED);
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
