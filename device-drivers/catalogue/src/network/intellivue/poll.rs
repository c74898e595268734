//! Data messages: remote operations, and in poll answers the objects with their attributes.
//!
//! An object is known by its context and handle together. Its description comes once or in a later cycle, its values
//! often without it, so descriptions are kept for as long as the association lasts.

use super::alarms::AlarmMonitor;
use super::cursor::Cursor;
use super::numerics::Numerics;
use super::requests;
use super::waves::Waves;
use crate::stream::wall;
use driver::profile::Profile;
use driver::{About, DecodeError, Fault, Out};
use record::time::Timestamp;

// Remote operations.
const INVOKE: u16 = 1;
const RESULT: u16 = 2;
const ERROR: u16 = 3;
const LINKED_RESULT: u16 = 5;
// Commands.
const EVENT: u16 = 0;
const CONFIRMED_EVENT: u16 = 1;
const ACTION: u16 = 7;
const CREATED: u16 = 0x0D06;
// Attributes of the system.
const MODEL: u16 = 0x0928;
const BED_LABEL: u16 = 0x091E;
const DATE_TIME: u16 = 0x0987;

/// An object within an association.
pub type Handle = (u16, u16);

/// What is known of the monitor in this association.
#[derive(Debug)]
pub struct Monitor {
    profile: Profile,
    numerics: Numerics,
    waves: Waves,
    alarms: AlarmMonitor,
}

/// One object's attributes.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(Cursor<'a>);

impl<'a> Attributes<'a> {
    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, id: u16) -> Option<Cursor<'a>> {
        let mut rest = self.0;
        while !rest.is_empty() {
            let this = rest.u16()?;
            let value = rest.counted()?;
            if this == id {
                return Some(value);
            }
        }
        None
    }
}

impl Monitor {
    /// A monitor of this profile, of which nothing is known.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        Self { profile: profile.clone(), numerics: Numerics::default(), waves: Waves::default(), alarms: AlarmMonitor::default() }
    }

    /// Forgets the association.
    pub fn reset(&mut self) {
        *self = Self::new(&self.profile);
    }

    /// Reads a data message from its remote operation on; yields the answers it asks for.
    pub fn data(&mut self, mut message: Cursor<'_>, out: &mut Vec<Out>) -> Vec<Vec<u8>> {
        let length = message.0.len();
        let mut answers = Vec::new();
        if self.operation(&mut message, out, &mut answers).is_none() {
            out.push(Out::Fault(Fault::new(DecodeError::Truncated { needed: length + 1, got: length }, length)));
        }
        answers
    }

    fn operation(&mut self, message: &mut Cursor<'_>, out: &mut Vec<Out>, answers: &mut Vec<Vec<u8>>) -> Option<()> {
        let kind = message.u16()?;
        let mut body = message.counted()?;
        match kind {
            INVOKE => {
                let (invoke, command) = (body.u16()?, body.u16()?);
                let mut event = body.counted()?;
                if matches!(command, EVENT | CONFIRMED_EVENT) {
                    event.take(6 + 4)?;
                    if event.u16()? == CREATED {
                        let mut created = event.counted()?;
                        created.take(6)?;
                        let (_, attributes) = created.list()?;
                        self.system(Attributes(attributes), out);
                        if command == CONFIRMED_EVENT {
                            answers.push(requests::confirm_created(invoke));
                        }
                    }
                }
            }
            RESULT => self.result(&mut body, out)?,
            LINKED_RESULT => {
                // First, next or last, and the number of the part: each part stands for itself.
                body.take(2)?;
                self.result(&mut body, out)?;
            }
            ERROR => {
                let (_, error) = (body.u16()?, body.u16()?);
                out.push(Out::Fault(Fault::field("operation", format!("refused by the monitor, error {error}"))));
            }
            _ => out.push(Out::Fault(Fault::field("operation", format!("unknown kind {kind}")))),
        }
        Some(())
    }

    fn system(&self, attributes: Attributes<'_>, out: &mut Vec<Out>) {
        let model = attributes.get(MODEL).and_then(|mut value| {
            value.counted()?;
            value.counted().map(|model| text8(model.0))
        });
        let bed = attributes.get(BED_LABEL).and_then(|mut value| value.counted()).map(|bed| text16(bed.0));
        let clock = attributes.get(DATE_TIME).and_then(|mut value| time(value.array()?));
        out.extend(model.filter(|text| !text.is_empty()).map(|text| Out::About(About::Model(text))));
        out.extend(bed.filter(|text| !text.is_empty()).map(|text| Out::About(About::Location(text))));
        out.extend(clock.map(|clock| Out::About(About::Clock(clock))));
    }

    fn result(&mut self, body: &mut Cursor<'_>, out: &mut Vec<Out>) -> Option<()> {
        let (_invoke, command) = (body.u16()?, body.u16()?);
        let mut result = body.counted()?;
        if command != ACTION {
            return Some(());
        }
        result.take(6)?;
        let action = result.u16()?;
        let mut answer = result.counted()?;
        match action {
            0x0C16 => drop(answer.take(2)?),
            // The extended answer numbers its parts besides.
            0xF13B => drop(answer.take(4)?),
            _ => return Some(()),
        }
        let _relative = answer.u32()?;
        let _absolute = answer.take(8)?;
        let (_partition, class, _group) = (answer.u16()?, answer.u16()?, answer.u16()?);
        if answer.is_empty() {
            return Some(());
        }
        let (contexts, mut list) = answer.list()?;
        for _ in 0..contexts {
            let context = list.u16()?;
            let (objects, mut list) = list.list()?;
            for _ in 0..objects {
                let handle = (context, list.u16()?);
                let (_, attributes) = list.list()?;
                self.object(class, handle, Attributes(attributes), out);
            }
        }
        Some(())
    }

    fn object(&mut self, class: u16, handle: Handle, attributes: Attributes<'_>, out: &mut Vec<Out>) {
        match class {
            requests::NUMERICS => self.numerics.read(handle, attributes, &self.profile, out),
            requests::WAVES => self.waves.read(handle, attributes, out),
            requests::ALARMS => self.alarms.read(attributes, out),
            _ => {}
        }
    }
}

const TEXT_LEN_MAX: usize = 200;

/// Bytes of text, padded with zeros.
fn text8(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).filter(|c| !c.is_control()).take(TEXT_LEN_MAX).collect::<String>().trim().to_owned()
}

/// Big-endian UTF-16, padded with zeros.
pub(super) fn text16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or('\u{FFFD}')).filter(|c| !c.is_control()).take(TEXT_LEN_MAX).collect();
    text.trim().to_owned()
}

/// `YY YY MM DD hh mm ss ff` in binary-coded decimals, of the monitor's wall; all ones where it is not given.
pub(super) fn time(bytes: [u8; 8]) -> Option<Timestamp> {
    let decimal = |byte: u8| (byte >> 4 < 10 && byte & 0xF < 10).then_some((byte >> 4) * 10 + (byte & 0xF));
    let [century, year, month, day, hour, minute, second, _] = bytes;
    let year = u16::from(decimal(century)?) * 100 + u16::from(decimal(year)?);
    wall(year, decimal(month)?, decimal(day)?, [decimal(hour)?, decimal(minute)?, decimal(second)?]).filter(|_| year >= 1980)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn a_time_is_read_and_one_not_given_is_none() {
        assert_eq!(time(hex!("20 17 11 04 14 45 00 00")).map(|at| at.rfc3339()).as_deref(), Some("2017-11-04T14:45:00.000Z"));
        for none in [[0xFF; 8], [0; 8], hex!("20 17 1A 04 14 45 00 00"), hex!("20 17 13 04 14 45 00 00")] {
            assert_eq!(time(none), None);
        }
    }

    #[test]
    fn texts_are_trimmed_of_their_padding() {
        assert_eq!(text16(&hex!("0042 0065 0064 0020 0000 0000")), "Bed");
        assert_eq!(text8(b"M8000\0"), "M8000");
    }

    #[test]
    fn a_refused_operation_is_said() {
        let mut out = Vec::new();
        Monitor::new(&Profile::bare("philips.intellivue")).data(Cursor(&hex!("0003 0006 0001 0002 0000")), &mut out);
        assert_eq!(out.len(), 1);
    }
}
