//! Writes the seeds into `fuzz/corpus/TARGET/`, a file each.

use std::fs;
use std::path::Path;

use wiretag_fuzz::seeds;

fn main() -> std::io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = fuzz.parent().expect("fuzz lies in the project");
    for (target, seeds) in seeds::all(root) {
        let folder = fuzz.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:04}")), seed)?;
        }
        println!("{target}: {} seeds", seeds.len());
    }
    Ok(())
}
