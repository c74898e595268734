//! ASTM E1381/LIS1-A2 links and E1394/LIS2-A2 records: laboratory analysers on a serial line, usually 9600 8N1.
//!
//! The analyser sends (`ENQ`, frames, `EOT`), this side answers. The frame that ends a message is acknowledged only once
//! its results are durable; after a break the analyser sends the whole message again.
//!
//! Read in this order: [`link`] (frames and answers), [`records`] (what a message says).
//!
//! Patients are not read here: `P` records are passed over. A specimen is known by its number.

pub mod link;
pub mod records;

use self::link::{Heard, LinkReader};
use self::records::Records;
use crate::{Link, ProtocolRow};
use driver::profile::Profile;
use driver::{Channel, Driver, Fault, In, Out};
use record::time::Monotonic;

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "astm.lis2",
    link: Link::Serial,
    channel: Channel::Stream,
    quirks: &[],
    make: |profile| Box::new(Astm::new(profile)),
    check: super::needs_line,
    as_sent: link::framed_if_text,
};

const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
/// A sender silent this long in the middle of a message has gone.
const SILENCE_US: u64 = 30_000_000;

struct Astm {
    reader: LinkReader,
    records: Records,
    /// The number of the frame last taken, to know one that is sent again.
    last: Option<u8>,
    in_session: bool,
    heard_at: Monotonic,
}

impl Astm {
    fn new(profile: &Profile) -> Self {
        Self {
            reader: LinkReader::default(),
            records: Records::new(profile),
            last: None,
            in_session: false,
            heard_at: Monotonic::default(),
        }
    }

    fn heard(&mut self, now: Monotonic, heard: Heard, out: &mut Vec<Out>) {
        let answer = |byte| Out::Acknowledge(Channel::Stream, vec![byte]);
        match heard {
            Heard::Enquiry => {
                self.records.broken_off(out);
                (self.last, self.in_session) = (None, true);
                out.push(answer(ACK));
                out.push(Out::WakeAt(now.plus_micros(SILENCE_US)));
            }
            Heard::Frame { number, text, ends } => {
                self.in_session = true;
                // A frame sent again because our answer was lost is answered again and read once.
                if self.last != Some(number) {
                    let expected = self.last.map_or(1, |last| (last + 1) % 8);
                    if self.last.is_some() && number != expected {
                        out.push(Out::Fault(Fault::field("FN", format!("frame {number} where {expected} was due"))));
                        return out.push(answer(NAK));
                    }
                    self.last = Some(number);
                    self.records.text(&text, ends, out);
                }
                out.push(answer(ACK));
            }
            Heard::Damaged(fault) => {
                out.push(Out::Fault(fault));
                out.push(answer(NAK));
            }
            Heard::End => {
                self.records.broken_off(out);
                (self.last, self.in_session) = (None, false);
            }
            Heard::Skipped(skipped) => out.push(Out::Fault(Fault::new(driver::DecodeError::Unframed, skipped))),
        }
    }
}

impl Driver for Astm {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Bytes(_, bytes) => {
                self.heard_at = now;
                for byte in bytes {
                    if let Some(heard) = self.reader.take(*byte) {
                        self.heard(now, heard, &mut out);
                    }
                }
            }
            In::Wake if self.in_session => {
                if now.micros_since(self.heard_at) >= SILENCE_US {
                    self.reader = LinkReader::default();
                    self.records.broken_off(&mut out);
                    (self.last, self.in_session) = (None, false);
                } else {
                    out.push(Out::WakeAt(self.heard_at.plus_micros(SILENCE_US)));
                }
            }
            In::Wake => {}
            In::Connected | In::Disconnected => {
                self.records.broken_off(&mut out);
                self.reader = LinkReader::default();
                (self.last, self.in_session) = (None, false);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::link::framed;
    use super::*;
    use record::laboratory::{LabReport, LabStatus};

    const HEAD: &str = "H|\\^&|||Acme^A1|||||||P|1|20260128090000";
    const RESULT: &str = "R|1|^^^WBC^White|6.2|10^3/uL|4.0-10.0|N||F||||20260128090100";

    fn driver() -> Astm {
        Astm::new(&Profile::bare("astm.lis2"))
    }
    fn hear(driver: &mut Astm, bytes: &[u8]) -> Vec<Out> {
        driver.handle(Monotonic(0), In::Bytes(Channel::Stream, bytes))
    }
    fn answers(out: &[Out]) -> Vec<u8> {
        out.iter().filter_map(|o| if let Out::Acknowledge(_, bytes) = o { bytes.first().copied() } else { None }).collect()
    }
    fn reports(out: &[Out]) -> Vec<&LabReport> {
        out.iter().filter_map(|o| if let Out::Laboratory(report) = o { Some(report) } else { None }).collect()
    }

    #[test]
    fn a_message_is_answered_frame_by_frame_and_its_results_come_before_the_last_answer() {
        let mut driver = driver();
        assert_eq!(answers(&hear(&mut driver, &[0x05])), [ACK]);
        assert_eq!(answers(&hear(&mut driver, &framed(1, HEAD, true))), [ACK]);
        hear(&mut driver, &framed(2, "O|1|S1||^^^CBC", true));
        assert!(reports(&hear(&mut driver, &framed(3, RESULT, true))).is_empty());
        let out = hear(&mut driver, &framed(4, "L|1|N", true));
        assert_eq!(reports(&out)[0].results.len(), 1);
        assert!(matches!(out[..], [Out::Laboratory(_), Out::Acknowledge(..)]));
        assert_eq!(hear(&mut driver, &[0x04]), []);
    }

    #[test]
    fn a_damaged_frame_is_asked_for_again_and_one_sent_twice_is_read_once() {
        let mut driver = driver();
        hear(&mut driver, &[&[0x05], &framed(1, HEAD, true)[..], &framed(2, "O|1|S1||^^^CBC", true)].concat());
        let mut bad = framed(3, RESULT, true);
        bad[20] ^= 1;
        let out = hear(&mut driver, &bad);
        assert!(matches!(out[..], [Out::Fault(_), Out::Acknowledge(..)]));
        assert_eq!(answers(&out), [NAK]);
        let twice = [framed(3, RESULT, true), framed(3, RESULT, true)].concat();
        assert_eq!(answers(&hear(&mut driver, &twice)), [ACK, ACK]);
        assert_eq!(reports(&hear(&mut driver, &framed(4, "L|1|N", true)))[0].results.len(), 1);
    }

    #[test]
    fn a_frame_out_of_turn_is_refused() {
        let mut driver = driver();
        hear(&mut driver, &[&[0x05], &framed(1, HEAD, true)[..]].concat());
        assert_eq!(answers(&hear(&mut driver, &framed(3, RESULT, true))), [NAK]);
    }

    #[test]
    fn a_record_may_run_over_frames_and_a_frame_may_hold_many() {
        let mut driver = driver();
        let (first, second) = RESULT.split_at(20);
        let many = format!("{HEAD}\rO|1|S1||^^^CBC\r{first}");
        let stream = [vec![0x05], framed(1, &many, false), framed(2, &format!("{second}\rL|1|N"), true)].concat();
        assert_eq!(reports(&hear(&mut driver, &stream))[0].results.len(), 1);
    }

    #[test]
    fn a_message_that_breaks_off_keeps_what_was_whole_and_says_so() {
        let mut driver = driver();
        let two = RESULT.replace("WBC", "RBC");
        let stream = [
            vec![0x05],
            framed(1, HEAD, true),
            framed(2, "O|1|S1||^^^CBC", true),
            framed(3, RESULT, true),
            framed(4, &two, true),
            vec![0x04],
        ];
        let out = hear(&mut driver, &stream.concat());
        let found = reports(&out);
        assert_eq!((found[0].results.len(), found[0].results[0].status), (1, LabStatus::Preliminary));
        assert!(out.iter().any(|o| matches!(o, Out::Fault(f) if f.to_string().contains("broke off"))));
    }

    #[test]
    fn a_sender_that_falls_silent_is_given_up_after_half_a_minute() {
        let mut driver = driver();
        let out = hear(&mut driver, &[0x05]);
        assert!(out.contains(&Out::WakeAt(Monotonic(SILENCE_US))));
        assert_eq!(driver.handle(Monotonic(SILENCE_US), In::Wake), []);
        assert!(!driver.in_session);
    }
}
