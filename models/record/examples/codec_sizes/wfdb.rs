//! PhysioNet records: the header and signal formats 16 and 212, as far as the records here use them.

use std::path::Path;

/// One signal of a record.
pub struct Channel {
    pub rate_hz: usize,
    pub samples: Vec<i32>,
}

/// Reads the record of that name (its path without extension), signals of its first file only.
pub fn read(record: &Path) -> Result<Vec<Channel>, String> {
    let text = std::fs::read_to_string(record.with_extension("hea")).map_err(|e| format!("{}: {e}", record.display()))?;
    let mut lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    let mut head = lines.next().ok_or("no header")?.split_whitespace().skip(1).map(|n| n.parse::<usize>().ok());
    let (Some(Some(signals)), Some(Some(rate))) = (head.next(), head.next()) else { return Err("header".into()) };
    let specs: Vec<Vec<&str>> = lines.take(signals).map(|l| l.split_whitespace().collect()).collect();
    let file = specs.first().and_then(|s| s.first()).copied().ok_or("no signals")?;
    let specs: Vec<_> = specs.iter().filter(|s| s[0] == file).map(|s| format(s[1])).collect::<Option<_>>().ok_or("format")?;
    let bytes = std::fs::read(record.with_file_name(file)).map_err(|e| format!("{file}: {e}"))?;
    let values = match specs[0].0 {
        16 => sixteen(&bytes[specs[0].2..]),
        212 => two_twelve(&bytes[specs[0].2..]),
        other => return Err(format!("format {other}")),
    };
    let mut channels: Vec<Channel> = specs.iter().map(|s| Channel { rate_hz: rate * s.1, samples: Vec::new() }).collect();
    for frame in values.chunks_exact(specs.iter().map(|s| s.1).sum()) {
        let mut at = 0;
        for (channel, spec) in channels.iter_mut().zip(&specs) {
            channel.samples.extend_from_slice(&frame[at..at + spec.1]);
            at += spec.1;
        }
    }
    Ok(channels)
}

/// "16", "212x4", "212:4", "16+24": format, samples a frame, byte offset. A skew is left in: it moves nothing in a file.
fn format(spec: &str) -> Option<(u32, usize, usize)> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().ok();
    let after = |mark: char, default| spec.split_once(mark).map_or(Some(default), |(_, rest)| digits(rest));
    Some((digits(spec)? as u32, after('x', 1)?, after('+', 0)?))
}

fn sixteen(bytes: &[u8]) -> Vec<i32> {
    bytes.chunks_exact(2).map(|b| i32::from(i16::from_le_bytes([b[0], b[1]]))).collect()
}

/// Two samples of twelve bits in three bytes.
fn two_twelve(bytes: &[u8]) -> Vec<i32> {
    let sign = |v: u16| i32::from((v << 4) as i16 >> 4);
    let pair = |b: &[u8]| [sign(u16::from(b[0]) | u16::from(b[1] & 15) << 8), sign(u16::from(b[2]) | u16::from(b[1] >> 4) << 8)];
    bytes.chunks_exact(3).flat_map(pair).collect()
}
