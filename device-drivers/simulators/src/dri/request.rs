//! What a host asks for.

/// Bytes of a record's header.
const HEADER: usize = 40;
const MAIN_PHYSIOLOGICAL: i16 = 0;
const MAIN_WAVE: i16 = 1;
const DISPLAYED: u8 = 1;
const END: u8 = 0xff;

/// A request this monitor understands.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Displayed values every so many seconds: −1 once, 0 never again.
    Displayed {
        /// Seconds between pages.
        interval_s: i16,
        /// Which classes: bits of the request.
        classes: i32,
    },
    /// These waves, until stopped.
    WavesStart(Vec<u8>),
    /// No more waves.
    WavesStop,
}

/// Reads a record from the host.
#[must_use]
pub fn parse(record: &[u8]) -> Option<Request> {
    let main = i16::from_le_bytes([*record.get(14)?, *record.get(15)?]);
    let body = record.get(HEADER..)?;
    match (main, body) {
        (MAIN_PHYSIOLOGICAL, [DISPLAYED, i0, i1, c0, c1, c2, c3, ..]) => {
            Some(Request::Displayed { interval_s: i16::from_le_bytes([*i0, *i1]), classes: i32::from_le_bytes([*c0, *c1, *c2, *c3]) })
        }
        (MAIN_WAVE, [0, 0, _, _, rest @ ..]) => {
            Some(Request::WavesStart(rest.iter().take(8).copied().take_while(|kind| *kind != END).collect()))
        }
        (MAIN_WAVE, _) => Some(Request::WavesStop),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manuals_own_request_is_understood() {
        // GE M1017617 appendix A: displayed values every 10 s, all classes.
        let mut record = vec![0; 49];
        record[0] = 0x31;
        record[21] = END;
        record[40..47].copy_from_slice(&[1, 10, 0, 14, 0, 0, 0]);
        assert_eq!(parse(&record), Some(Request::Displayed { interval_s: 10, classes: 14 }));
        assert_eq!(parse(&record[..46]), None);
    }
}
