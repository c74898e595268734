//! The shared real recordings, read from their WFDB files (formats 212 and 16).

use anyhow::{Context, Result, bail, ensure};
use end_to_end::paths;
use record::decimal::Decimal;
use std::path::Path;

/// One channel of a recording.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Samples a second.
    pub rate_hz: Decimal,
    /// Samples in a second of the recording's frames, times the rate: how many belong to one frame.
    pub per_frame: usize,
    /// As the converter gave them.
    pub samples: Vec<i32>,
}

/// A recording: frames of its channels.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Frames a second.
    pub frames_hz: usize,
    /// Its channels.
    pub channels: Vec<Channel>,
}

impl Recording {
    /// All values.
    #[must_use]
    pub fn values(&self) -> usize {
        self.channels.iter().map(|channel| channel.samples.len()).sum()
    }

    /// One sample a frame of each channel: the mean of the frame's.
    #[must_use]
    pub fn smoothed(mut self) -> Self {
        for channel in &mut self.channels {
            let many = channel.per_frame as i32;
            channel.samples = channel.samples.chunks_exact(channel.per_frame).map(|frame| frame.iter().sum::<i32>() / many).collect();
            (channel.per_frame, channel.rate_hz) = (1, Decimal::whole(self.frames_hz as i64));
        }
        self
    }

    /// Only its first `seconds`.
    #[must_use]
    pub fn first(mut self, seconds: usize) -> Self {
        for channel in &mut self.channels {
            channel.samples.truncate(seconds * self.frames_hz * channel.per_frame);
        }
        self
    }
}

/// The recordings the goals name: folder and record.
pub const NAMED: [(&str, &str); 3] = [("mimic_03700181", "03700181"), ("alarm2015_a103l", "a103l"), ("mitbih_100", "100")];
/// Recorded at several rates: what WFDB's own reader gives by default is the mean of a frame's samples, and the goals' figures are of that.
pub const SMOOTHED: &str = "mimic_03700181";

/// Reads one of [`NAMED`].
///
/// # Errors
/// It is not here, or not what its header says.
pub fn read(folder: &'static str, record: &str) -> Result<Recording> {
    let home = paths::root().join("../shared/data/clinical/waveforms").join(folder);
    ensure!(home.is_dir(), "../shared/data/clinical/waveforms/{folder} is not here");
    let header = std::fs::read_to_string(home.join(format!("{record}.hea"))).with_context(|| format!("the header of {folder}"))?;
    parse(&header, &home).with_context(|| format!("recording {folder}"))
}

/// A signal as the header describes it.
struct Signal<'a> {
    file: &'a str,
    format: u16,
    per_frame: usize,
    skip: usize,
}

fn parse(header: &str, home: &Path) -> Result<Recording> {
    let mut lines = header.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let mut first = lines.next().context("an empty header")?.split_whitespace().skip(1);
    let count: usize = first.next().context("no count of signals")?.parse()?;
    let frames_hz: usize = first.next().context("no rate")?.split('/').next().unwrap_or_default().parse()?;
    let signals = lines.take(count).map(signal).collect::<Result<Vec<_>>>()?;
    ensure!(signals.len() == count, "{count} signals announced, {} described", signals.len());
    let head = signals.first().context("no signals")?;
    ensure!(signals.iter().all(|s| s.file == head.file && s.format == head.format), "signals in several files are not read here");
    let bytes = std::fs::read(home.join(head.file))?;
    let bytes = bytes.get(head.skip..).context("shorter than its prolog")?;
    let samples = match head.format {
        212 => packed_12_bits(bytes),
        16 => bytes.chunks_exact(2).map(|pair| i32::from(i16::from_le_bytes([pair[0], pair[1]]))).collect(),
        other => bail!("format {other} is not read here"),
    };
    let mut channels: Vec<Channel> = signals
        .iter()
        .map(|s| Channel { rate_hz: Decimal::whole((frames_hz * s.per_frame) as i64), per_frame: s.per_frame, samples: Vec::new() })
        .collect();
    let frame: usize = signals.iter().map(|s| s.per_frame).sum();
    for frame in samples.chunks_exact(frame) {
        let mut rest = frame;
        for channel in &mut channels {
            let (own, others) = rest.split_at(channel.per_frame);
            channel.samples.extend_from_slice(own);
            rest = others;
        }
    }
    Ok(Recording { frames_hz, channels })
}

/// `file format[xN][:skew][+offset] gain bits …`.
fn signal(line: &str) -> Result<Signal<'_>> {
    let mut fields = line.split_whitespace();
    let (file, format) = (fields.next().context("no file")?, fields.next().context("no format")?);
    let (format, skip) = format.split_once('+').unwrap_or((format, "0"));
    let format = format.split(':').next().unwrap_or(format);
    let (format, per_frame) = format.split_once('x').unwrap_or((format, "1"));
    Ok(Signal { file, format: format.parse()?, per_frame: per_frame.parse()?, skip: skip.parse()? })
}

/// Pairs of 12-bit two's complement values in three bytes.
fn packed_12_bits(bytes: &[u8]) -> Vec<i32> {
    let extended = |value: i32| if value > 0x7ff { value - 0x1000 } else { value };
    bytes
        .chunks_exact(3)
        .flat_map(|b| {
            let (low, mid, high) = (i32::from(b[0]), i32::from(b[1]), i32::from(b[2]));
            [extended(low | (mid & 0x0f) << 8), extended(high | (mid & 0xf0) << 4)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_bits_are_unpacked_with_their_sign() {
        assert_eq!(packed_12_bits(&[0x01, 0x80, 0xff]), [1, -1793]);
        assert_eq!(packed_12_bits(&[0xff, 0x7f, 0xff]), [-1, 0x7ff]);
    }

    #[test]
    fn the_first_sample_of_a_recording_is_the_one_its_header_states() {
        if paths::shared("data/clinical/waveforms").is_none() {
            return;
        }
        for ((folder, record), (first, len)) in NAMED.into_iter().zip([(67, 450_000), (-171, 247_500), (995, 1_300_000)]) {
            let recording = read(folder, record).expect(folder);
            assert_eq!((recording.channels[0].samples[0], recording.values()), (first, len), "{folder}");
        }
    }
}
