//! The captures that everything is measured on, made anew each time: the same sizes give the same
//! bytes on every machine.

mod bulk;
mod chance;
mod frame;
mod mixed;
mod pcap;
mod rpc;
mod small;

use std::io::{self, Write};
use std::path::PathBuf;

/// How large a capture is to be.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// About how many packets; a capture ends with a whole exchange.
    pub packets: u64,
    /// How many flows, where that can be chosen.
    pub flows: u32,
}

/// A kind of capture.
pub struct Kind {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is in it.
    pub about: &'static str,
    /// How large it is unless told otherwise.
    pub size: Size,
    /// Writes it; says how many packets it came to.
    pub write: fn(&mut dyn Write, Size) -> io::Result<u64>,
}

/// The kinds of capture that there are.
pub const ALL: &[Kind] = &[
    Kind {
        name: "mixed",
        about: "the project's captures and others beside it, together and over again",
        size: Size {
            packets: 4_000_000,
            flows: 0,
        },
        write: |out, size| mixed::write(out, size, &recorded()),
    },
    Kind {
        name: "small",
        about: "packets of 64 to 90 bytes of very many flows, in no order",
        size: Size {
            packets: 10_000_000,
            flows: 1_000_000,
        },
        write: small::write,
    },
    Kind {
        name: "bulk",
        about: "packets of 1,400 bytes, most of them of files copied over SMB",
        size: Size {
            packets: 1_500_000,
            flows: 10_000,
        },
        write: bulk::write,
    },
    Kind {
        name: "rpc",
        about: "answers of the endpoint mapper, each followed by a flow to the port it named",
        size: Size {
            packets: 15_000_000,
            flows: 2_000_000,
        },
        write: rpc::write,
    },
];

/// Where recorded captures are: the project's, and those beside it, where there are any.
fn recorded() -> Vec<PathBuf> {
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folders = [project.join("pcaps"), project.join("../shared/captures")];
    folders.into_iter().filter(|path| path.is_dir()).collect()
}
