//! Sends the frames of a capture on a device, again and again at a steady rate, and says how many:
//! `replay DEVICE CAPTURE FRAMES_A_SECOND SECONDS`. For `tests/soak.sh`.

use std::time::{Duration, Instant};

/// How often the rate is held: short enough for the kernel's buffers, long enough to sleep.
const BEAT: Duration = Duration::from_millis(5);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [device, capture, rate, seconds] = &words[..] else {
        return Err("usage: replay DEVICE CAPTURE FRAMES_A_SECOND SECONDS".into());
    };
    let (rate, seconds): (u64, u64) = (rate.parse()?, seconds.parse()?);
    let mut frames = Vec::new();
    let mut file = pcap::Capture::from_file(capture)?;
    while let Ok(packet) = file.next_packet() {
        frames.push(packet.data.to_vec());
    }
    let mut device = pcap::Capture::from_device(device.as_str())?.open()?;
    let begun = Instant::now();
    let (mut sent, mut refused) = (0_u64, 0_u64);
    let mut next = frames.iter().cycle();
    while begun.elapsed() < Duration::from_secs(seconds) {
        let due = (begun.elapsed().as_micros() * u128::from(rate) / 1_000_000) as u64;
        while sent + refused < due {
            let frame = next.next().ok_or("the capture is empty")?;
            match device.sendpacket(&frame[..]) {
                Ok(()) => sent += 1,
                Err(_) => refused += 1,
            }
        }
        std::thread::sleep(BEAT);
    }
    println!("{sent} {refused}");
    Ok(())
}
