//! What the peers of a connection say of themselves while they negotiate it, and whom they ask for.

use crate::dissect::names;
use crate::dissect::read::{Reader, Short};
use crate::dissect::smb::message1::Strings;
use crate::dissect::smb::pipes::Ungranted;
use crate::model::protocol::Field;

/// The share that a tree was connected to, as sent (MS-SMB2 2.2.9, MS-CIFS 2.2.4.55.1).
pub const SHARE: Field = Field::new(&["smb-share", "share"]);

/// The same, where the server refused it.
pub const SHARE_REFUSED: Field = Field::new(&["smb-share-refused", "refused share"]);

/// The same, where it is not known what became of that.
pub const SHARE_ASKED: Field = Field::new(&["smb-share-asked", "share asked for"]);

/// Where a share is said that was not granted.
pub const UNGRANTED_SHARE: Ungranted = Ungranted {
    refused: SHARE_REFUSED,
    unanswered: SHARE_ASKED,
};

/// The path for which a DFS referral was given (MS-DFSC 2.2.2).
pub const DFS_REFERRAL: Field = Field::new(&["dfs-referral", "DFS referral for"]);

/// The number of a function called through the pipe LANMAN (MS-RAP 2.5).
pub const RAP_FUNCTION: Field = Field::new(&["rap-function", "RAP function"]);

/// The command with which a message is sent to a user or a computer (MS-MSRP 2.2.3).
pub const MESSAGE: Field = Field::new(&["smb-message", "message command"]);

/// The dialect that the server chose: `3.1.1`, `NT LM 0.12`.
pub const DIALECT: Field = Field::new(&["smb-dialect", "SMB dialect"]);

/// The dialects that the client offered, in the order of its request.
pub const OFFERED: Field = Field::new(&["smb-dialects-offered", "SMB dialects"]);

/// The operating system that a peer of SMB 1 names (MS-CIFS 2.2.4.53).
pub const NATIVE_OS: Field = Field::new(&["smb-native-os", "native OS"]);

/// The LAN manager that a peer of SMB 1 names (MS-CIFS 2.2.4.53).
pub const NATIVE_LANMAN: Field = Field::new(&["smb-native-lanman", "native LAN manager"]);

/// The cipher of the messages that were sent encrypted: nothing in them is known (MS-SMB2 2.2.41).
pub const ENCRYPTION: Field = Field::new(&["smb-encryption", "encrypted with"]);

/// How messages were compressed: nothing in them is known (MS-SMB2 2.2.42).
pub const COMPRESSION: Field = Field::new(&["smb-compression", "compressed with"]);

/// Everything that is said in SMB itself.
pub const ALL: &[Field] = &[
    SHARE,
    SHARE_REFUSED,
    SHARE_ASKED,
    DFS_REFERRAL,
    RAP_FUNCTION,
    MESSAGE,
    DIALECT,
    OFFERED,
    NATIVE_OS,
    NATIVE_LANMAN,
    ENCRYPTION,
    COMPRESSION,
    crate::dissect::ntlm::VERSION,
    crate::dissect::rpc::dcom::HOST,
];

/// Dialects read of an offer: there are six of SMB 2, and a dozen before it.
const MAX_DIALECTS: usize = 32;

/// Contexts read of a negotiation: seven kinds are specified (MS-SMB2 2.2.3.1).
const MAX_CONTEXTS: usize = 16;

/// The context that holds ciphers (MS-SMB2 2.2.3.1.2).
const CIPHERS: u16 = 2;

/// A dialect by its number (MS-SMB2 2.2.3).
pub fn dialect(number: u16) -> String {
    let [major, minor] = number.to_be_bytes();
    match (number, minor >> 4, minor & 0xf) {
        (0x02ff, ..) => "2".to_owned(),
        (_, middle, 0) if major > 2 || middle > 0 => format!("{major}.{middle}"),
        (_, middle, last) => format!("{major}.{middle}.{last}"),
    }
}

/// The dialects offered in the body of SMB 2's request to negotiate (MS-SMB2 2.2.3).
///
/// # Errors
/// `Short` if the body ends before them.
pub fn offered2(mut body: Reader) -> Result<String, Short> {
    body.skip(2)?;
    let count = usize::from(body.u16()?).min(MAX_DIALECTS);
    body.skip(32)?;
    let dialects = (0..count).map(|_| body.u16().map(dialect));
    Ok(dialects.collect::<Result<Vec<_>, _>>()?.join(" "))
}

/// The dialect in the body of SMB 2's answer (MS-SMB2 2.2.4).
///
/// # Errors
/// `Short` if the body ends before it.
pub fn chosen2(mut body: Reader) -> Result<u16, Short> {
    body.skip(4)?;
    body.u16()
}

/// The cipher in SMB 2's answer (MS-SMB2 2.2.4.1.2): that of its contexts, or the only one that
/// dialects before 3.1.1 have.
///
/// # Errors
/// `Short` if the message ends before it.
pub fn cipher(message: &[u8], mut body: Reader) -> Result<Option<&'static str>, Short> {
    body.skip(4)?;
    let (dialect, count) = (body.u16()?, body.u16()?);
    match dialect {
        0x0300 | 0x0302 => return Ok(Some("AES-128-CCM")),
        0x0311 => {}
        _ => return Ok(None),
    }
    body.skip(52)?;
    let mut contexts = Reader::little(message);
    contexts.skip(usize::try_from(body.u32()?).map_err(|_| Short)?)?;
    for _ in 0..usize::from(count).min(MAX_CONTEXTS) {
        let (kind, len) = (contexts.u16()?, contexts.u16()?);
        contexts.skip(4)?;
        let mut context = contexts.sub(len.into())?;
        if kind == CIPHERS {
            let _count = context.u16()?;
            return Ok(match context.u16()? {
                1 => Some("AES-128-CCM"),
                2 => Some("AES-128-GCM"),
                3 => Some("AES-256-CCM"),
                4 => Some("AES-256-GCM"),
                _ => None,
            });
        }
        // Each begins at a multiple of eight from the header, as the first does.
        contexts.up_to(usize::from(len).next_multiple_of(8) - usize::from(len));
    }
    Ok(None)
}

/// The algorithm of a compressed message (MS-SMB2 2.2.42).
///
/// # Errors
/// `Short` if the message ends before it.
pub fn compression(message: &[u8]) -> Result<&'static str, Short> {
    let mut r = Reader::little(message);
    r.skip(8)?;
    Ok(match r.u16()? {
        0 => "none",
        1 => "LZNT1",
        2 => "LZ77",
        3 => "LZ77+Huffman",
        4 => "Pattern_V1",
        5 => "LZ4",
        _ => "unknown",
    })
}

/// The file name in a request for a DFS referral (MS-DFSC 2.2.2).
///
/// # Errors
/// `Short` if the request ends before it.
pub fn referral(mut request: Reader) -> Result<String, Short> {
    let _level = request.u16()?;
    Ok(names::utf16(request.rest()))
}

/// The same of an extended request (MS-DFSC 2.2.3).
///
/// # Errors
/// `Short` if the request ends before it.
pub fn extended_referral(mut request: Reader) -> Result<String, Short> {
    request.skip(2 + 2 + 4)?;
    let len = request.u16()?;
    Ok(names::utf16(request.take(len.into())?))
}

/// The dialects in SMB 1's request to negotiate, each after a byte that announces it (MS-CIFS
/// 2.2.4.52.1).
pub fn offered1(mut bytes: Reader) -> Vec<String> {
    let mut dialects = Vec::new();
    while dialects.len() < MAX_DIALECTS && bytes.u8() == Ok(2) {
        match bytes.until(0) {
            Ok(dialect) => dialects.push(names::text(dialect)),
            Err(Short) => break,
        }
    }
    dialects
}

/// The operating system and the LAN manager that stand after `blob` bytes of a set-up of a session,
/// with `between` other texts before them (MS-CIFS 2.2.4.53). An empty one is not said.
pub fn native(strings: &mut Strings, between: usize) -> Result<[String; 2], Short> {
    for _ in 0..between {
        strings.next()?;
    }
    Ok([strings.next()?, strings.next()?])
}
