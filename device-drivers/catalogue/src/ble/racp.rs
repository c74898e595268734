//! Record Access Control Point (2A52): asks a device for the records it has stored. Only ever reports: it deletes nothing by itself.
//!
//! ```text
//! connected ── 500 ms ──▶ all | since the newest heard ──▶ records … ──▶ success
//!                                  └─ none found ──▶ the last one ── not the newest heard ──▶ all (numbering began anew)
//! ```

use driver::{Channel, DecodeError, Out};
use record::time::Monotonic;

/// Where requests go and answers come from.
pub(crate) const CONTROL_POINT: Channel = Channel::assigned(0x2A52);
/// Deletes every record. Sent on a person's order alone (`crate::commands`).
pub(crate) const ERASE_ALL: [u8; 2] = [0x02, ALL];

/// Between subscribing and the first request: some meters refuse it sooner.
const SETTLE_US: u64 = 500_000;
/// Without a record or an answer for this long a request is made again.
const ANSWER_US: u64 = 10_000_000;
/// Requests in a row without an answer.
const TRIES_MAX: u8 = 2;

const REPORT: u8 = 0x01;
const RESPONSE: u8 = 0x06;
const COUNT: u8 = 0x05;
const NULL: u8 = 0x00;
const ALL: u8 = 0x01;
const AT_LEAST: u8 = 0x03;
const LAST: u8 = 0x06;
/// By sequence number; for CGM by minutes since the session began.
const BY_NUMBER: u8 = 0x01;

const SUCCESS: u8 = 0x01;
const NOT_SUPPORTED: [u8; 4] = [0x02, 0x04, 0x05, 0x09];
const NONE_FOUND: u8 = 0x06;

/// Which records are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ask {
    All,
    Since(u16),
    Last,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Settling,
    Asked { what: Ask, tries: u8 },
}

/// The fetching of one device's records; what it remembers outlives a connection.
#[derive(Debug)]
pub(super) struct Racp {
    /// The profile subscribes to the control point.
    used: bool,
    /// Records can be asked for by number.
    by_number: bool,
    /// The newest record heard: its number on the wire, and the number it has for good.
    newest: Option<(u16, u64)>,
    state: State,
    /// When something is due.
    due: Monotonic,
    /// The device's memory began anew while it was asked for the last one.
    anew: bool,
}

impl Racp {
    pub const fn new(used: bool, by_number: bool) -> Self {
        Self { used, by_number, newest: None, state: State::Idle, due: Monotonic(0), anew: false }
    }

    pub fn connected(&mut self, now: Monotonic) -> Vec<Out> {
        if !self.used {
            return Vec::new();
        }
        self.state = State::Settling;
        vec![self.wait(now, SETTLE_US)]
    }

    pub fn disconnected(&mut self) {
        self.state = State::Idle;
    }

    pub fn wake(&mut self, now: Monotonic) -> Vec<Out> {
        if now < self.due {
            return Vec::new();
        }
        match self.state {
            State::Idle => Vec::new(),
            State::Settling => {
                let since = self.newest.filter(|_| self.by_number).and_then(|(number, _)| number.checked_add(1));
                self.ask(now, since.map_or(Ask::All, Ask::Since), 1)
            }
            State::Asked { what, tries } if tries < TRIES_MAX => self.ask(now, what, tries + 1),
            State::Asked { .. } => {
                self.state = State::Idle;
                vec![Out::Fault(driver::Fault::field("2A52", "no answer to a request for stored records"))]
            }
        }
    }

    /// A record came: the device is still sending.
    pub fn record(&mut self, now: Monotonic, number: u16, for_good: u64) -> Vec<Out> {
        if let (State::Asked { what: Ask::Last, .. }, Some(newest)) = (self.state, self.newest) {
            self.anew |= newest != (number, for_good);
        } else {
            self.newest = Some((number, for_good));
        }
        if matches!(self.state, State::Asked { .. }) { vec![self.wait(now, ANSWER_US)] } else { Vec::new() }
    }

    /// An answer of the control point.
    pub fn answer(&mut self, now: Monotonic, bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let refuse = |why: String| Err(DecodeError::Field { field: "2A52", why });
        let (code, State::Asked { what, .. }) = (response(bytes)?, self.state) else { return Ok(Vec::new()) };
        let Some(code) = code else { return Ok(Vec::new()) };
        self.state = State::Idle;
        match (code, what) {
            (SUCCESS, Ask::Last) if self.anew => Ok(self.ask(now, Ask::All, 1)),
            (SUCCESS, _) | (NONE_FOUND, Ask::All | Ask::Last) => Ok(Vec::new()),
            // Nothing newer, or the numbering began anew after the memory was cleared.
            (NONE_FOUND, Ask::Since(_)) => Ok(self.ask(now, Ask::Last, 1)),
            (code, Ask::Since(_) | Ask::Last) if NOT_SUPPORTED.contains(&code) => {
                self.by_number = false;
                Ok(self.ask(now, Ask::All, 1))
            }
            (code, _) => refuse(format!("stored records refused with code {code:#04x}")),
        }
    }

    fn ask(&mut self, now: Monotonic, what: Ask, tries: u8) -> Vec<Out> {
        self.state = State::Asked { what, tries };
        self.anew = false;
        let request = match what {
            Ask::All => vec![REPORT, ALL],
            Ask::Last => vec![REPORT, LAST],
            Ask::Since(number) => {
                let [low, high] = number.to_le_bytes();
                vec![REPORT, AT_LEAST, BY_NUMBER, low, high]
            }
        };
        vec![Out::Send(CONTROL_POINT, request), self.wait(now, ANSWER_US)]
    }

    fn wait(&mut self, now: Monotonic, us: u64) -> Out {
        self.due = now.plus_micros(us);
        Out::WakeAt(self.due)
    }
}

/// The response code to a request for a report, if that is what this answer is; a count is nobody's question here.
fn response(bytes: &[u8]) -> Result<Option<u8>, DecodeError> {
    match *bytes {
        [RESPONSE, NULL, REPORT, code, ..] => Ok(Some(code)),
        [RESPONSE, NULL, _, _, ..] | [COUNT, NULL, _, _, ..] => Ok(None),
        [RESPONSE | COUNT, _, ..] | [] if bytes.len() < 4 => Err(DecodeError::Truncated { needed: 4, got: bytes.len() }),
        _ => Err(DecodeError::Field { field: "2A52", why: "neither a response nor a count".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn sent(out: &[Out]) -> Vec<Vec<u8>> {
        out.iter().filter_map(|o| if let Out::Send(CONTROL_POINT, bytes) = o { Some(bytes.clone()) } else { None }).collect()
    }
    const S: u64 = 1_000_000;

    #[test]
    fn all_records_are_asked_for_half_a_second_after_connecting_and_later_only_newer_ones() {
        let mut racp = Racp::new(true, true);
        assert_eq!(racp.connected(Monotonic(S)), [Out::WakeAt(Monotonic(S + 500_000))]);
        assert_eq!(racp.wake(Monotonic(S)), []);
        assert_eq!(sent(&racp.wake(Monotonic(2 * S))), [hex!("01 01")]);
        racp.record(Monotonic(2 * S), 0x0102, 77);
        assert_eq!(racp.answer(Monotonic(3 * S), &hex!("06 00 01 01")), Ok(vec![]));
        racp.disconnected();
        racp.connected(Monotonic(9 * S));
        assert_eq!(sent(&racp.wake(Monotonic(10 * S))), [hex!("01 03 01 03 01")]);
    }

    #[test]
    fn a_memory_that_began_anew_is_noticed_and_fetched_whole() {
        let mut racp = Racp::new(true, true);
        racp.record(Monotonic(0), 9, 900);
        racp.connected(Monotonic(0));
        racp.wake(Monotonic(S));
        let none_found = hex!("06 00 01 06");
        assert_eq!(sent(&racp.answer(Monotonic(S), &none_found).expect("answer")), [hex!("01 06")]);
        racp.record(Monotonic(S), 2, 1200);
        assert_eq!(sent(&racp.answer(Monotonic(S), &hex!("06 00 01 01")).expect("answer")), [hex!("01 01")]);
        // The same last record as was heard: nothing is new.
        let mut racp = Racp::new(true, true);
        racp.record(Monotonic(0), 9, 900);
        racp.connected(Monotonic(0));
        racp.wake(Monotonic(S));
        racp.answer(Monotonic(S), &none_found).expect("answer");
        racp.record(Monotonic(S), 9, 900);
        assert_eq!(racp.answer(Monotonic(S), &hex!("06 00 01 01")), Ok(vec![]));
    }

    #[test]
    fn a_device_that_only_knows_all_records_is_asked_for_all() {
        let mut racp = Racp::new(true, true);
        racp.record(Monotonic(0), 9, 900);
        racp.connected(Monotonic(0));
        racp.wake(Monotonic(S));
        assert_eq!(sent(&racp.answer(Monotonic(S), &hex!("06 00 01 04")).expect("answer")), [hex!("01 01")]);
    }

    #[test]
    fn an_unanswered_request_is_made_once_more_and_then_said() {
        let mut racp = Racp::new(true, true);
        racp.connected(Monotonic(0));
        assert_eq!(sent(&racp.wake(Monotonic(S))).len(), 1);
        assert_eq!(sent(&racp.wake(Monotonic(11 * S))).len(), 1);
        assert!(matches!(&racp.wake(Monotonic(21 * S))[..], [Out::Fault(_)]));
        assert_eq!(racp.wake(Monotonic(31 * S)), []);
    }

    #[test]
    fn a_profile_without_the_control_point_asks_for_nothing() {
        assert_eq!(Racp::new(false, true).connected(Monotonic(0)), []);
    }

    #[test]
    fn answers_are_read_and_nonsense_is_refused() {
        assert_eq!(response(&hex!("06 00 01 06")), Ok(Some(6)));
        assert_eq!(response(&hex!("05 00 02 01")), Ok(None));
        assert_eq!(response(&hex!("05 00 02 01 00 00")), Ok(None));
        assert_eq!(response(&hex!("06 00 01")), Err(DecodeError::Truncated { needed: 4, got: 3 }));
        assert_eq!(response(&[]), Err(DecodeError::Truncated { needed: 4, got: 0 }));
        assert!(response(&hex!("01 01 00 00")).is_err());
    }
}
