//! DCOM's object resolver (MS-DCOM 3.1.2.5): where the objects live that clients activate or hold
//! references to.
//!
//! A request names the class, its answer the endpoints of the process that exports the object. A
//! resolver also tells all names and addresses of its host, for clients to choose one of. The calls
//! are made in NDR alone; Windows offers no other syntax for these interfaces.

use std::collections::{BTreeMap, BTreeSet};

use crate::dissect::messages::Sayings;
use crate::dissect::read::{Order, Reader, Short};
use crate::dissect::rpc::activation::{self, Asked, pointer, uuid};
use crate::dissect::rpc::dual_string::{self, Bindings};
use crate::dissect::rpc::pdu::{Call, Header, Kind};
use crate::dissect::rpc::stubs::Stubs;
use crate::model::evidence::{Claim, Direction};
use crate::model::protocol::Field;
use crate::model::uuid::Uuid;

/// IActivation, also called IRemoteActivation.
pub const ACTIVATION: Uuid = Uuid::from_u128(0x4d9f4ab8_7d1c_11cf_861e_0020af6e7c57);
/// IRemoteSCMActivator, also called ISystemActivator.
pub const SCM_ACTIVATOR: Uuid = Uuid::from_u128(0x000001a0_0000_0000_c000_000000000046);
/// IObjectExporter, also called IOXIDResolver.
pub const OBJECT_EXPORTER: Uuid = Uuid::from_u128(0x99fcfec4_5260_101b_bbcb_00aa0021347a);

/// A name or an address at which the object resolver says that it is reached (MS-DCOM
/// 3.1.2.5.1.6, `ppdsaOrBindings`): the host's other networks are among them.
pub const HOST: Field = Field::new(&["dcom-host", "object resolver reached at"]);

/// Calls that wait for their answer. Clients have a handful in flight; the oldest is given up.
const MAX_CALLS: usize = 256;

/// The major version that every implementation sends (MS-DCOM 2.2.11).
const VERSION: u16 = 5;

/// The calls whose answers say where an object exporter listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// `IActivation::RemoteActivation`.
    Activate,
    /// `IRemoteSCMActivator::RemoteGetClassObject`.
    GetClassObject,
    /// `IRemoteSCMActivator::RemoteCreateInstance`.
    CreateInstance,
    /// `IObjectExporter::ResolveOxid`.
    Resolve,
    /// `IObjectExporter::ResolveOxid2`.
    Resolve2,
    /// `IObjectExporter::ServerAlive2`: the bindings of the object resolver itself.
    Alive2,
}

/// The calls of one connection that matter here.
#[derive(Default)]
pub struct Activations {
    /// By call and presentation context.
    calls: BTreeMap<(u32, u16), Pending>,
    requests: Stubs,
    answers: Stubs,
    said: Sayings,
}

/// A call without its answer.
struct Pending {
    operation: Operation,
    /// What it asked for, where that could be read.
    asked: Option<Asked>,
}

impl Activations {
    /// Whether a PDU is wanted whole. `interface` is that of its context, where the BIND was seen.
    pub fn wants(&self, header: &Header, interface: Option<Uuid>, call: Call) -> bool {
        match header.kind {
            Kind::REQUEST => {
                let operation = Operation::of(interface, call.opnum);
                operation.is_some_and(Operation::asks) && self.requests.may_take(header)
            }
            Kind::RESPONSE => {
                let operation = self.answered(header, call);
                operation.is_some() && self.answers.may_take(header)
            }
            _ => false,
        }
    }

    /// Takes a PDU of a call: all of it if it was wanted.
    pub fn see(
        &mut self,
        from: Direction,
        header: &Header,
        interface: Option<Uuid>,
        call: Call,
        pdu: &[u8],
        found: &mut Vec<Claim>,
    ) {
        match header.kind {
            Kind::REQUEST => self.request(header, interface, call, pdu),
            Kind::RESPONSE => self.response(from, header, call, pdu, found),
            _ => {
                self.calls.remove(&(header.call_id, call.context));
            }
        }
    }

    /// Says that bytes are missing: a fragment may have been among them.
    pub fn gap(&mut self) {
        self.requests.clear();
        self.answers.clear();
    }

    /// Bytes of stubs that wait.
    pub fn kept(&self) -> usize {
        self.requests.kept() + self.answers.kept()
    }

    /// Whether everything that a peer can make it keep is within its bound.
    #[cfg(test)]
    pub fn is_within_bounds(&self) -> bool {
        self.calls.len() <= MAX_CALLS
            && self.requests.is_within_bounds()
            && self.answers.is_within_bounds()
    }

    fn request(&mut self, header: &Header, interface: Option<Uuid>, call: Call, pdu: &[u8]) {
        let Some(operation) = Operation::of(interface, call.opnum) else {
            return;
        };
        let is_orpc = |first: &[u8]| orpc_this(&mut Reader::new(first, header.order)).is_ok();
        let stub = match operation.asks() {
            true => self.requests.take(header, pdu, is_orpc),
            false => None,
        };
        let asked = stub.and_then(|stub| operation.asked(&stub, header.order).ok());
        // On a context that nothing is known of, only what can be read is an activation.
        let is_certain = interface.is_some() || asked.is_some();
        if !is_certain || !header.has(Header::LAST) {
            return;
        }
        if self.calls.len() >= MAX_CALLS {
            self.calls.pop_first();
        }
        self.calls
            .insert((header.call_id, call.context), Pending { operation, asked });
    }

    fn response(
        &mut self,
        from: Direction,
        header: &Header,
        call: Call,
        pdu: &[u8],
        found: &mut Vec<Claim>,
    ) {
        let Some(operation) = self.answered(header, call) else {
            return;
        };
        let order = header.order;
        let may_be_answer = |first: &[u8]| operation.may_be_answer(first, order);
        let stub = self.answers.take(header, pdu, may_be_answer);
        let asked = match header.has(Header::LAST) {
            true => {
                let pending = self.calls.remove(&(header.call_id, call.context));
                pending.and_then(|pending| pending.asked)
            }
            false => None,
        };
        let told = stub.and_then(|stub| operation.exporter(&stub, order).ok());
        let Bindings { endpoints, hosts } = told.unwrap_or_default();
        for at in endpoints {
            found.push(Claim::Exported {
                class: asked.as_ref().map(|asked| asked.class),
                interfaces: (asked.iter()).flat_map(|a| a.interfaces.clone()).collect(),
                at: Box::new(at),
            });
        }
        for host in hosts {
            self.said.say(HOST, host, from, found);
        }
    }

    /// What a response answers: the call of its number on its context. `None` if that is of no
    /// interest, or nobody was seen to ask.
    fn answered(&self, header: &Header, call: Call) -> Option<Operation> {
        let pending = self.calls.get(&(header.call_id, call.context))?;
        Some(pending.operation)
    }
}

impl Operation {
    /// The operation of this number. Where the interface is unknown it may be an activation, which
    /// shows itself by its signature.
    fn of(interface: Option<Uuid>, opnum: u16) -> Option<Operation> {
        match (interface.unwrap_or(SCM_ACTIVATOR), opnum) {
            (ACTIVATION, 0) => Some(Operation::Activate),
            (SCM_ACTIVATOR, 3) => Some(Operation::GetClassObject),
            (SCM_ACTIVATOR, 4) => Some(Operation::CreateInstance),
            (OBJECT_EXPORTER, 0) => Some(Operation::Resolve),
            (OBJECT_EXPORTER, 4) => Some(Operation::Resolve2),
            (OBJECT_EXPORTER, 5) => Some(Operation::Alive2),
            _ => None,
        }
    }

    /// Whether its request names a class.
    fn asks(self) -> bool {
        match self {
            Operation::Activate | Operation::GetClassObject | Operation::CreateInstance => true,
            Operation::Resolve | Operation::Resolve2 | Operation::Alive2 => false,
        }
    }

    /// What a request asks for.
    fn asked(self, stub: &[u8], order: Order) -> Result<Asked, Short> {
        let mut r = Reader::new(stub, order);
        orpc_this(&mut r)?;
        match self {
            Operation::Activate => remote_activation(&mut r),
            Operation::GetClassObject => {
                pointer(&mut r)?;
                activation::asked(&mut r)
            }
            Operation::CreateInstance => {
                // The outer object, which must be null (3.1.2.5.2.3.3).
                if r.u32()? != 0 {
                    return Err(Short);
                }
                pointer(&mut r)?;
                activation::asked(&mut r)
            }
            Operation::Resolve | Operation::Resolve2 | Operation::Alive2 => Err(Short),
        }
    }

    /// Whether a stub's first fragment could be that of an answer.
    fn may_be_answer(self, first: &[u8], order: Order) -> bool {
        let mut r = Reader::new(first, order);
        match self {
            Operation::GetClassObject | Operation::CreateInstance => {
                let opening = orpc_that(&mut r).and_then(|()| pointer(&mut r));
                opening.is_ok() && activation::may_be_exporter(&mut r)
            }
            Operation::Activate => orpc_that(&mut r).is_ok(),
            Operation::Resolve | Operation::Resolve2 | Operation::Alive2 => true,
        }
    }

    /// Where a successful answer says that the object exporter listens, or the resolver is reached.
    fn exporter(self, stub: &[u8], order: Order) -> Result<Bindings, Short> {
        let mut r = Reader::new(stub, order);
        let behind_the_bindings = match self {
            Operation::GetClassObject | Operation::CreateInstance => {
                orpc_that(&mut r)?;
                pointer(&mut r)?;
                let endpoints = activation::exporter(&mut r)?;
                let hosts = BTreeSet::new();
                return ends_well(r).map(|()| Bindings { endpoints, hosts });
            }
            Operation::Activate => {
                orpc_that(&mut r)?;
                r.align(8)?;
                r.skip(8)?; // the OXID
                24 // IPID, authentication hint, version
            }
            Operation::Resolve => 20,  // IPID, authentication hint
            Operation::Resolve2 => 24, // the same and the version
            Operation::Alive2 => {
                r.skip(4)?; // the version
                4
            }
        };
        pointer(&mut r)?;
        let mut bindings = dual_string::read(&mut r)?;
        if self != Operation::Alive2 {
            bindings.hosts.clear();
        }
        r.align(4)?;
        r.skip(behind_the_bindings)?;
        match self {
            // Interface pointers follow; what became of the call comes before them.
            Operation::Activate => succeeded(r.u32()?)?,
            _ => ends_well(r)?,
        }
        Ok(bindings)
    }
}

/// Passes over an ORPCTHIS (MS-DCOM 2.2.13.3), in these calls without extensions.
fn orpc_this(r: &mut Reader) -> Result<(), Short> {
    let major = r.u16()?;
    r.skip(26)?; // minor version, flags, reserved, causality
    let extensions = r.u32()?;
    (major == VERSION && extensions == 0)
        .then_some(())
        .ok_or(Short)
}

/// Passes over an ORPCTHAT (MS-DCOM 2.2.13.4), in these calls without extensions.
fn orpc_that(r: &mut Reader) -> Result<(), Short> {
    r.skip(4)?;
    let extensions = r.u32()?;
    (extensions == 0).then_some(()).ok_or(Short)
}

/// The request of `IActivation::RemoteActivation` behind its ORPCTHIS (3.1.2.5.2.3.1).
fn remote_activation(r: &mut Reader) -> Result<Asked, Short> {
    let class = uuid(r)?;
    if r.u32()? != 0 {
        // The name of the object: a conformant and varying string.
        let (most, offset, len) = (r.u32()?, r.u32()?, r.u32()?);
        if offset != 0 || len > most {
            return Err(Short);
        }
        let units = usize::try_from(len).unwrap_or(usize::MAX);
        r.skip(units.saturating_mul(2))?;
        r.align(4)?;
    }
    if r.u32()? != 0 {
        // The storage to initialise it from: an MInterfacePointer.
        let (most, len) = (r.u32()?, r.u32()?);
        if most != len {
            return Err(Short);
        }
        r.skip(usize::try_from(len).unwrap_or(usize::MAX))?;
        r.align(4)?;
    }
    r.skip(8)?; // impersonation level, mode
    let count = r.u32()?;
    pointer(r)?;
    let interfaces = activation::interfaces(r, count)?;
    Ok(Asked { class, interfaces })
}

/// A call's last word is its result, with nothing but padding behind it.
fn ends_well(mut r: Reader) -> Result<(), Short> {
    r.align(4)?;
    succeeded(r.u32()?)?;
    (r.left() < 8).then_some(()).ok_or(Short)
}

/// Whether a result is S_OK. Errors are negative, or small numbers of Windows.
fn succeeded(result: u32) -> Result<(), Short> {
    (result == 0).then_some(()).ok_or(Short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::dissect::rpc::connection::Connection;
    use crate::dissect::rpc::samples::*;
    use crate::model::evidence::Direction::{Forward, Reverse};
    use crate::model::evidence::Endpoint;
    use crate::model::five_tuple::IpProtocol;
    use crate::model::uuid::Interface;

    const WMI: Uuid = Uuid::from_u128(0x8bc3f05e_d86b_11d0_a075_00c04fb68820);
    const LOGIN: Uuid = Uuid::from_u128(0xf309ad18_d86a_11d0_a075_00c04fb68820);
    const TCP: u16 = 0x07;
    const LISTENS: &[(u16, &str)] = &[(TCP, "SERVER[49670]"), (TCP, "192.0.2.1[49670]")];

    fn offered(interface: Uuid) -> [Said; 2] {
        let interface = Interface::new(interface, 0, 0);
        [bind(1, &[(0, interface)]), bind_ack(1, &[ACCEPT])]
    }

    /// What a connection claims of object exporters.
    fn exported(talk: &[Said]) -> Vec<Claim> {
        let (mut connection, mut found) = (Connection::default(), Vec::new());
        for said in talk {
            connection.feed(said.from, &said.bytes, &mut found);
        }
        found.retain(|claim| matches!(claim, Claim::Exported { .. }));
        found
    }

    /// The claims for [`LISTENS`], asked for like this.
    fn expected(class: Option<Uuid>, interfaces: &[Uuid]) -> Vec<Claim> {
        let at = |address: Option<[u8; 4]>| Endpoint::Port {
            address: address.map(Into::into),
            protocol: IpProtocol::TCP,
            port: 49670,
        };
        [at(None), at(Some([192, 0, 2, 1]))]
            .map(|at| Claim::Exported {
                class,
                interfaces: interfaces.into(),
                at: Box::new(at),
            })
            .to_vec()
    }

    /// A call and its answer on a context of this interface.
    fn call(interface: Uuid, opnum: u16, asked: &[u8], answer: &[u8]) -> Vec<Said> {
        let mut talk = offered(interface).to_vec();
        talk.push(request(2, 0, opnum, asked));
        talk.push(response(2, 0, answer));
        talk
    }

    #[test]
    fn an_activation_tells_the_class_and_where_its_objects_live() {
        let answer = activation_answer(Order::Little, LISTENS, 0);
        for (opnum, outer) in [(3, false), (4, true)] {
            let asked = activation_request(Order::Little, outer, WMI, &[LOGIN]);
            let talk = call(SCM_ACTIVATOR, opnum, &asked, &answer);
            assert_eq!(exported(&talk), expected(Some(WMI), &[LOGIN]), "{opnum}");
        }
    }

    #[test]
    fn properties_are_little_endian_in_whatever_call() {
        let asked = activation_request(Order::Big, true, WMI, &[LOGIN]);
        let asked = Operation::CreateInstance.asked(&asked, Order::Big);
        let expected = Asked {
            class: WMI,
            interfaces: vec![LOGIN],
        };
        assert_eq!(asked, Ok(expected));
        let answer = activation_answer(Order::Big, LISTENS, 0);
        let found = Operation::CreateInstance.exporter(&answer, Order::Big);
        assert_eq!(found.map(|found| found.endpoints.len()), Ok(2));
    }

    #[test]
    fn the_activation_of_windows_nt_tells_it_too() {
        for name in ["", "odd"] {
            let asked = remote_activation_request(Order::Little, WMI, name, &[LOGIN]);
            let answer = remote_activation_answer(Order::Little, LISTENS, 0);
            let talk = call(ACTIVATION, 0, &asked, &answer);
            assert_eq!(exported(&talk), expected(Some(WMI), &[LOGIN]), "{name}");
        }
        let asked = remote_activation_request(Order::Big, WMI, "name", &[LOGIN]);
        assert!(Operation::Activate.asked(&asked, Order::Big).is_ok());
        let answer = remote_activation_answer(Order::Big, LISTENS, 0);
        assert!(Operation::Activate.exporter(&answer, Order::Big).is_ok());
    }

    #[test]
    fn an_object_looked_up_tells_where_it_lives_and_not_what_it_is() {
        for (opnum, before, after) in [(0, 0, 20), (4, 0, 24), (5, 4, 4)] {
            let answer = resolver_answer(before, LISTENS, after, 0);
            let talk = call(OBJECT_EXPORTER, opnum, &[0; 12], &answer);
            assert_eq!(exported(&talk), expected(None, &[]), "{opnum}");
        }
    }

    #[test]
    fn a_resolver_that_is_alive_tells_where_its_host_is_reached_each_once() {
        let hosts = &[(TCP, "SERVER"), (TCP, "192.0.2.1"), (TCP, "198.51.100.1")];
        let answer = resolver_answer(4, hosts, 4, 0);
        let mut talk = call(OBJECT_EXPORTER, 5, &[], &answer);
        talk.extend(call(OBJECT_EXPORTER, 5, &[], &answer).drain(2..));
        let (mut connection, mut found) = (Connection::default(), Vec::new());
        for said in &talk {
            connection.feed(said.from, &said.bytes, &mut found);
        }
        let told: Vec<_> = (found.into_iter())
            .filter_map(|claim| match claim {
                Claim::Said { field, text, by } => Some((field, text, by)),
                _ => None,
            })
            .collect();
        let expected = ["192.0.2.1", "198.51.100.1", "SERVER"];
        let expected = expected.map(|host| (HOST, host.to_owned(), Reverse));
        assert_eq!(told, expected);
    }

    #[test]
    fn a_call_that_failed_tells_nothing() {
        let failed = 0x8007_0005;
        let asked = activation_request(Order::Little, true, WMI, &[LOGIN]);
        let answer = activation_answer(Order::Little, LISTENS, failed);
        assert_eq!(exported(&call(SCM_ACTIVATOR, 4, &asked, &answer)), []);
        let answer = remote_activation_answer(Order::Little, LISTENS, failed);
        assert_eq!(exported(&call(ACTIVATION, 0, &[], &answer)), []);
        let answer = resolver_answer(0, LISTENS, 24, 5);
        assert_eq!(exported(&call(OBJECT_EXPORTER, 4, &[], &answer)), []);
    }

    #[test]
    fn an_answer_that_nobody_was_seen_to_ask_for_tells_nothing() {
        let mut talk = offered(SCM_ACTIVATOR).to_vec();
        talk.push(response(
            2,
            0,
            &activation_answer(Order::Little, LISTENS, 0),
        ));
        assert_eq!(exported(&talk), []);
    }

    #[test]
    fn an_activation_is_known_without_its_bind_by_its_signature() {
        let asked = activation_request(Order::Little, true, WMI, &[LOGIN]);
        let answer = activation_answer(Order::Little, LISTENS, 0);
        let talk = [request(2, 0, 4, &asked), response(2, 0, &answer)];
        assert_eq!(exported(&talk), expected(Some(WMI), &[LOGIN]));
        let looked_up = resolver_answer(0, LISTENS, 24, 0);
        let talk = [request(2, 0, 4, &[0; 12]), response(2, 0, &looked_up)];
        assert_eq!(exported(&talk), []);
    }

    #[test]
    fn another_interface_of_the_same_numbers_activates_nothing() {
        let asked = activation_request(Order::Little, true, WMI, &[LOGIN]);
        let answer = activation_answer(Order::Little, LISTENS, 0);
        assert_eq!(exported(&call(SAMR.uuid, 4, &asked, &answer)), []);
    }

    #[test]
    fn a_call_in_fragments_is_put_together() {
        let asked = activation_request(Order::Little, true, WMI, &[LOGIN]);
        let answer = activation_answer(Order::Little, LISTENS, 0);
        let mut talk = offered(SCM_ACTIVATOR).to_vec();
        let (first, last) = asked.split_at(200);
        talk.push(request_fragment(2, 0, 4, first, Place::First));
        talk.push(request_fragment(2, 0, 4, last, Place::Last));
        let (first, last) = answer.split_at(300);
        talk.push(fragment(2, 0, first, Place::First));
        talk.push(fragment(2, 0, last, Place::Last));
        assert_eq!(exported(&talk), expected(Some(WMI), &[LOGIN]));
    }

    #[test]
    fn a_stub_cut_anywhere_claims_nothing() {
        let asked = activation_request(Order::Little, true, WMI, &[LOGIN]);
        for len in 0..asked.len() {
            let cut = Operation::CreateInstance.asked(&asked[..len], Order::Little);
            assert_eq!(cut, Err(Short), "{len}");
        }
        let answers = [
            (
                Operation::CreateInstance,
                activation_answer(Order::Little, LISTENS, 0),
            ),
            (Operation::Resolve2, resolver_answer(0, LISTENS, 24, 0)),
            (Operation::Alive2, resolver_answer(4, LISTENS, 4, 0)),
        ];
        for (operation, answer) in answers {
            for len in 0..answer.len() {
                let cut = operation.exporter(&answer[..len], Order::Little);
                assert_eq!(cut, Err(Short), "{operation:?} {len}");
            }
        }
    }

    #[test]
    fn no_changed_byte_makes_it_fail_otherwise_than_by_claiming_less() {
        let asked = activation_request(Order::Little, false, WMI, &[LOGIN]);
        let answer = activation_answer(Order::Little, LISTENS, 0);
        for value in [0, 1, 0x7f, 0xff] {
            for place in 0..asked.len().max(answer.len()) {
                let (mut asked, mut answer) = (asked.clone(), answer.clone());
                asked.get_mut(place).into_iter().for_each(|b| *b = value);
                answer.get_mut(place).into_iter().for_each(|b| *b = value);
                let found = exported(&call(SCM_ACTIVATOR, 3, &asked, &answer));
                assert!(found.len() <= 2, "{place}");
            }
        }
    }

    #[test]
    fn more_interfaces_than_the_bound_are_not_kept() {
        let many = vec![LOGIN; 100];
        let asked = activation_request(Order::Little, true, WMI, &many);
        let asked = Operation::CreateInstance.asked(&asked, Order::Little);
        assert_eq!(asked.map(|asked| asked.interfaces.len()), Ok(16));
    }

    #[test]
    fn calls_without_answers_are_kept_within_the_bound() {
        let mut activations = Activations::default();
        let asked = activation_request(Order::Little, true, WMI, &[LOGIN]);
        let (context, opnum) = (0, 4);
        let call = Call { context, opnum };
        let mut ask = |call_id: u32, place: Place| {
            let said = request_fragment(call_id, 0, 4, &asked, place).bytes;
            let header = Header::read(&said).expect("a header");
            let mut found = Vec::new();
            let interface = Some(SCM_ACTIVATOR);
            activations.see(Forward, &header, interface, call, &said, &mut found);
            assert_eq!(found, []);
        };
        for call_id in 0..2 * MAX_CALLS as u32 {
            ask(call_id, Place::First);
            ask(call_id, Place::Only);
            ask(call_id | 1 << 31, Place::First);
        }
        assert!(activations.is_within_bounds());
        assert_eq!(activations.calls.len(), MAX_CALLS);
    }
}
