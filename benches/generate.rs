//! Writes a benchmark capture: `cargo bench --bench generate -- KIND FILE [PACKETS [FLOWS]]`.

mod captures;

use std::env;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use captures::{ALL, Kind, Size};

/// Bytes gathered before they are written.
const BUFFER: usize = 1024 * 1024;

fn main() -> ExitCode {
    // Cargo tells every benchmark that it is one.
    let words: Vec<String> = (env::args().skip(1))
        .filter(|word| word != "--bench")
        .collect();
    let kind = |name: &String| ALL.iter().find(|kind| kind.name == name);
    let result = match &words[..] {
        [name, file, sizes @ ..] if sizes.len() <= 2 => match (kind(name), numbers(sizes)) {
            (Some(kind), Some(sizes)) => generate(kind, file, &sizes),
            _ => return usage(),
        },
        _ => return usage(),
    };
    match result {
        Ok(packets) => {
            println!("{packets} packets");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn numbers(words: &[String]) -> Option<Vec<u32>> {
    words.iter().map(|word| word.parse().ok()).collect()
}

fn generate(kind: &Kind, file: &str, sizes: &[u32]) -> io::Result<u64> {
    let size = Size {
        packets: (sizes.first()).map_or(kind.size.packets, |packets| u64::from(*packets)),
        flows: sizes.get(1).copied().unwrap_or(kind.size.flows),
    };
    let mut out = BufWriter::with_capacity(BUFFER, File::create(file)?);
    let packets = (kind.write)(&mut out, size)?;
    out.flush()?;
    Ok(packets)
}

fn usage() -> ExitCode {
    eprintln!("cargo bench --bench generate -- KIND FILE [PACKETS [FLOWS]]\n");
    for kind in ALL {
        let Size { packets, flows } = kind.size;
        eprintln!("{:<6} {packets:>9} {flows:>8}  {}", kind.name, kind.about);
    }
    ExitCode::from(2)
}
