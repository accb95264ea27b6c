//! What the PDUs of one connection prove: contexts offered and accepted, calls, and the answers of
//! the endpoint mapper and of DCOM's activation.

use crate::dissect::few::Few;
use crate::dissect::ntlm;
use crate::dissect::rpc::bind::{self, Answer, Offer, Syntax};
use crate::dissect::rpc::dcom::Activations;
use crate::dissect::rpc::epm::{self, Expected, Operation, Origin};
use crate::dissect::rpc::pdu::{Call, Header, Kind};
use crate::dissect::rpc::stubs::Stubs;
use crate::model::evidence::{Claim, Direction};
use crate::model::uuid::{Interface, Uuid};

/// Presentation contexts kept of a connection. A BIND holds at most 255; clients that probe for
/// interfaces send a few of those.
const MAX_CONTEXTS: usize = 4096;

/// BINDs and ALTER_CONTEXTs that wait for their answer. A client sends one and waits.
const MAX_WAITING: usize = 16;

/// Calls that wait for their answer. Clients have a handful in flight; the lowest number is given up.
const MAX_CALLS: usize = 256;

/// What is known of one connection.
#[derive(Default)]
pub struct Association {
    client: Option<Direction>,
    contexts: Few<u16, Context>,
    waiting: Vec<Waiting>,
    /// The answers to a BIND that has not been seen yet, with its call: directions are not in step.
    early: Option<(u32, Vec<Answer>)>,
    interfaces: Few<Interface, Standing>,
    carried: Few<Interface, u64>,
    /// Calls not answered yet whose answer would prove something.
    calls: Few<u32, Asked>,
    /// The side that listens has offered or called, as a client does: it only sends back what it is
    /// sent, and nothing on this connection proves anything.
    is_echo: bool,
    /// Stubs of the endpoint mapper's answers, as far as they came.
    stubs: Stubs,
    activations: Activations,
    /// Which side has said which version of NTLM it speaks.
    stated: [bool; 2],
}

/// A presentation context.
#[derive(Clone, Copy)]
struct Context {
    interface: Interface,
    standing: Standing,
    syntax: Option<Syntax>,
}

/// A call without its answer.
#[derive(Clone, Copy)]
struct Asked {
    context: u16,
    opnum: u16,
}

/// What became of an offer; of an interface, the best that became of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Offered,
    Refused,
    Accepted,
}

/// An offer without its answer.
struct Waiting {
    call_id: u32,
    contexts: Vec<u16>,
}

impl Association {
    /// Whether a PDU is wanted whole. `call` is its call header, if it has one.
    pub fn wants(&self, from: Direction, header: &Header, call: Option<Call>) -> bool {
        if header.kind.is_negotiation() || header.kind == Kind::AUTH3 {
            return true;
        }
        let Some(call) = call.filter(|_| self.may_send(from, header.kind)) else {
            return false;
        };
        if (self.activations).wants(header, self.interface(call.context), call) {
            return true;
        }
        if header.kind != Kind::RESPONSE {
            return false;
        }
        self.stubs.may_take(header) && self.expected(header, call).is_some()
    }

    /// Whether this side may send a PDU of this kind: each side its own kinds, as soon as it is known
    /// which is which. What a client says in its server's name is not heard.
    fn may_send(&self, from: Direction, kind: Kind) -> bool {
        let meant = kind.sender().map(|role| role.client(from));
        meant.is_none() || self.client.is_none() || meant == self.client
    }

    /// Takes a PDU: all of it if it was wanted, else at least its call header.
    pub fn see(&mut self, from: Direction, header: &Header, pdu: &[u8], found: &mut Vec<Claim>) {
        self.settle_client(from, header.kind, found);
        if !self.may_send(from, header.kind) {
            self.is_echo |= header.kind.is_of_client();
        }
        if self.is_echo || !self.may_send(from, header.kind) {
            return;
        }
        let call = Call::read(header, pdu);
        match header.kind {
            Kind::BIND | Kind::ALTER_CONTEXT => self.offer(header, pdu, found),
            Kind::BIND_ACK | Kind::ALTER_CONTEXT_RESP => {
                let answers = bind::answers(header, pdu);
                self.answer(header.call_id, answers, found);
            }
            Kind::BIND_NAK => self.answer(header.call_id, vec![Answer::Refused; 255], found),
            _ => {}
        }
        if header.kind.is_negotiation() || header.kind == Kind::AUTH3 {
            self.prove(from, header, pdu, found);
        }
        let Some(call) = call else {
            return;
        };
        // Whoever calls has had the answer to its BIND, seen or not.
        self.early = None;
        self.count(header, call);
        let interface = self.interface(call.context);
        (self.activations).see(from, header, interface, call, pdu, found);
        match header.kind {
            Kind::REQUEST => self.request(header, call),
            Kind::RESPONSE => self.response(header, call, pdu, found),
            _ => {
                self.calls.remove(&header.call_id);
            }
        }
    }

    /// Says that bytes are missing: a fragment may have been among them.
    pub fn gap(&mut self) {
        self.stubs.clear();
        self.activations.gap();
    }

    /// Says what each interface carried. A second call says nothing more.
    pub fn finish(&mut self, found: &mut Vec<Claim>) {
        let carried = self.carried.take().into_iter();
        found.extend(carried.map(|(interface, bytes)| Claim::Carried { interface, bytes }));
    }

    /// Bytes that it keeps, about.
    pub fn kept(&self) -> usize {
        /// What an entry of a small map takes with its share of the map.
        const ENTRY: usize = 64;
        let entries = self.contexts.len() + self.interfaces.len() + self.carried.len();
        entries * ENTRY + self.stubs.kept() + self.activations.kept()
    }

    /// Whether everything that a peer can make it keep is within its bound.
    #[cfg(test)]
    pub fn is_within_bounds(&self) -> bool {
        self.contexts.len() <= MAX_CONTEXTS
            && self.interfaces.len() <= MAX_CONTEXTS
            && self.waiting.len() <= MAX_WAITING
            && self.calls.len() <= MAX_CALLS
            && self.stubs.is_within_bounds()
            && self.activations.is_within_bounds()
    }

    /// What the authentication at the end of a negotiation states of its sender.
    fn prove(&mut self, from: Direction, header: &Header, pdu: &[u8], found: &mut Vec<Claim>) {
        let stated = &mut self.stated[from.index()];
        let version = header.authentication(pdu).and_then(ntlm::version);
        if let (false, Some(text)) = (*stated, version) {
            *stated = true;
            let (field, by) = (ntlm::VERSION, from);
            found.push(Claim::Said { field, text, by });
        }
    }

    fn settle_client(&mut self, from: Direction, kind: Kind, found: &mut Vec<Claim>) {
        let client = kind.sender().map(|role| role.client(from));
        if let (None, Some(client)) = (self.client, client) {
            self.client = Some(client);
            found.push(Claim::ClientIs(client));
        }
    }

    fn offer(&mut self, header: &Header, pdu: &[u8], found: &mut Vec<Claim>) {
        let offers = bind::offers(header, pdu);
        for offer in &offers {
            self.open(offer, found);
        }
        let early = self
            .early
            .take_if(|(call_id, _)| *call_id == header.call_id);
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push(Waiting {
            call_id: header.call_id,
            contexts: offers.iter().map(|offer| offer.context).collect(),
        });
        if let Some((call_id, answers)) = early {
            self.answer(call_id, answers, found);
        }
    }

    fn open(&mut self, offer: &Offer, found: &mut Vec<Claim>) {
        let Offer { context, interface } = *offer;
        let full = self.contexts.len() >= MAX_CONTEXTS;
        match self.contexts.get(&context) {
            // Offered again in another syntax, or to renew its authentication: what was accepted stays.
            Some(known) if known.interface == interface => {}
            None if full => {}
            _ => {
                let opened = Context {
                    interface,
                    standing: Standing::Offered,
                    syntax: None,
                };
                self.contexts.insert(context, opened);
            }
        }
        if self.interfaces.len() < MAX_CONTEXTS && !self.interfaces.contains_key(&interface) {
            self.interfaces.insert(interface, Standing::Offered);
            found.push(Claim::Offered(interface));
        }
    }

    fn answer(&mut self, call_id: u32, answers: Vec<Answer>, found: &mut Vec<Claim>) {
        let place = self.waiting.iter().position(|one| one.call_id == call_id);
        let Some(place) = place else {
            self.early = Some((call_id, answers));
            return;
        };
        let waiting = self.waiting.remove(place);
        for (context, answer) in waiting.contexts.into_iter().zip(answers) {
            match answer {
                Answer::Accepted(syntax) => self.accept(context, syntax, found),
                Answer::Refused => self.refuse(context),
            }
        }
    }

    fn accept(&mut self, context: u16, syntax: Option<Syntax>, found: &mut Vec<Claim>) {
        let Some(context) = self.contexts.get_mut(&context) else {
            return;
        };
        context.standing = Standing::Accepted;
        context.syntax = syntax;
        let interface = context.interface;
        if let Some(standing) = self.interfaces.get_mut(&interface)
            && *standing != Standing::Accepted
        {
            *standing = Standing::Accepted;
            found.push(Claim::Bound(interface));
        }
    }

    fn refuse(&mut self, context: u16) {
        if let Some(context) = self.contexts.get_mut(&context)
            && context.standing == Standing::Offered
        {
            context.standing = Standing::Refused;
        }
    }

    fn count(&mut self, header: &Header, call: Call) {
        if let Some(context) = self.contexts.get(&call.context) {
            match self.carried.get_mut(&context.interface) {
                Some(bytes) => *bytes = bytes.saturating_add(header.len.into()),
                None => (self.carried).insert(context.interface, header.len.into()),
            }
        }
    }

    fn request(&mut self, header: &Header, call: Call) {
        let is_open = (self.contexts.get(&call.context))
            .is_some_and(|context| context.standing == Standing::Offered);
        if !is_open && self.origin(call.context).is_none() {
            return;
        }
        if self.calls.len() >= MAX_CALLS {
            self.calls.pop_first();
        }
        let asked = Asked {
            context: call.context,
            opnum: call.opnum,
        };
        self.calls.insert(header.call_id, asked);
    }

    fn response(&mut self, header: &Header, call: Call, pdu: &[u8], found: &mut Vec<Claim>) {
        let Some(asked) = self.asked(header, call) else {
            return;
        };
        let context = self.contexts.get(&asked.context);
        if context.is_some_and(|context| context.standing == Standing::Offered) {
            // The acknowledgement was not captured; a server answers only what it has.
            self.accept(asked.context, None, found);
        }
        let expected = self.expected(header, call);
        if header.has(Header::LAST) {
            self.calls.remove(&header.call_id);
        }
        let Some(expected) = expected else {
            return;
        };
        let may_be_answer = |first: &[u8]| epm::may_be_answer(first, &expected);
        if let Some(stub) = self.stubs.take(header, pdu, may_be_answer) {
            epm::claim(&stub, &expected, found);
        }
    }

    /// The call that a response answers: of the same number, on the same context.
    fn asked(&self, header: &Header, call: Call) -> Option<Asked> {
        let asked = *self.calls.get(&header.call_id)?;
        (asked.context == call.context).then_some(asked)
    }

    /// What is known of a response before it is read; `None` if it holds no towers, or nobody was
    /// seen to ask for it.
    fn expected(&self, header: &Header, call: Call) -> Option<Expected> {
        let asked = self.asked(header, call)?;
        Some(Expected {
            operation: Operation::of(asked.opnum)?,
            syntax: self.contexts.get(&call.context).and_then(|c| c.syntax),
            order: header.order,
            origin: self.origin(call.context)?,
        })
    }

    /// The interface of a context, if its offer was seen.
    fn interface(&self, context: u16) -> Option<Uuid> {
        Some(self.contexts.get(&context)?.interface.uuid)
    }

    /// Whether a context is the endpoint mapper's, or could be for all that is known; `None` if it
    /// is another's.
    fn origin(&self, context: u16) -> Option<Origin> {
        match self.contexts.get(&context) {
            Some(context) if context.interface.uuid == epm::INTERFACE => Some(Origin::Mapper),
            Some(_) => None,
            None => Some(Origin::Unknown),
        }
    }
}
