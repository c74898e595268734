//! One observation: an `OBX` segment becomes a reading, nothing, or a fault that names the field at fault.
//!
//! Units are read, never assumed; a unit that cannot be the code's is refused with its value.

use super::message::Segment;
use super::time::DateTime;
use driver::Fault;
use driver::profile::Profile;
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality, Reading};
use record::time::Timestamp;
use record::unit::Unit;
use std::cmp::Ordering;

/// What the rest of the message says about its observations.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The sender's page of facts.
    pub profile: &'a Profile,
    /// MSH-11 is not production.
    pub demo: bool,
    /// Minutes east of UTC stated in MSH-7, good for every time of the message without a zone of its own.
    pub offset_min: Option<i32>,
    /// OBR-7 of the report the observation belongs to.
    pub observed_at: &'a str,
}

/// Reads one segment. `Ok(None)`: it carries no number (rows of the device tree, texts, wave arrays), or
/// its code is the maker's own.
///
/// # Errors
/// A number that cannot be charted: its code, its unit or its digits are not understood.
pub fn read(obx: &Segment<'_>, context: Context<'_>) -> Result<Option<Reading>, Fault> {
    let unavailable = obx.field(11).trim() == "X";
    let numeric = obx.field(2).trim() == "NM";
    if !numeric {
        return Ok(None);
    }
    let code = match code(obx) {
        Ok(code) => code,
        // A maker's own code (HL7 keeps names in 99 for them), and none beside it that others know.
        Err(_) if is_local(obx) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let flags = Flags::of(obx);
    let stated = obx.component(5, 1);
    let value = if flags.off {
        Err(NoValue::SensorOff)
    } else if flags.invalid {
        Err(NoValue::Artefact)
    } else if unavailable || flags.not_available || stated.is_empty() {
        Err(NoValue::NotMeasured)
    } else {
        let number: Decimal = stated.parse().map_err(|_| fault("OBX-5", obx, "not a decimal number"))?;
        let means_none = |mark: &Decimal| mark.partial_cmp(&number) == Some(Ordering::Equal);
        if context.profile.absent.iter().any(means_none) { Err(NoValue::NotMeasured) } else { Ok(number) }
    };
    let unit = match unit(obx, code) {
        Ok(unit) => unit,
        // Without a number there is nothing a missing unit could falsify.
        Err(_) if value.is_err() && obx.field(6).trim().is_empty() => match code.unit() {
            Some(unit) => unit,
            None => return Ok(None),
        },
        Err(fault) => return Err(fault),
    };
    let demo = context.demo || flags.demo || obx.component(17, 1).eq_ignore_ascii_case("DEMO");
    let quality = match (demo, flags.questionable) {
        (true, _) => Quality::Demo,
        (false, true) => Quality::Questionable,
        (false, false) => Quality::Good,
    };
    Ok(Some(Reading { code, value, unit, quality, device_time: device_time(obx, context), device_seq: None }))
}

/// OBX-14, else OBR-7.
fn device_time(obx: &Segment<'_>, context: Context<'_>) -> Option<Timestamp> {
    let time = DateTime::parse(obx.field(14)).or_else(|| DateTime::parse(context.observed_at))?;
    time.moment(context.offset_min).or_else(|| context.profile.moment(time.read_as_utc))
}

/// A fault that names the field, the observation's number and what is wrong; never its value.
fn fault(field: &'static str, obx: &Segment<'_>, why: &str) -> Fault {
    let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(48).collect::<String>();
    Fault::field(field, format!("OBX {} ({}): {why}", shown(obx.field(1)), shown(&obx.component(3, 1))))
}

fn shown_unit(obx: &Segment<'_>) -> String {
    obx.field(6).chars().filter(|c| !c.is_control()).take(48).collect()
}

/// OBX-3: an MDC or LOINC code, first or alternate.
fn code(obx: &Segment<'_>) -> Result<Code, Fault> {
    [1, 4]
        .into_iter()
        .find_map(|first| coded(obx, first))
        .ok_or_else(|| fault("OBX-3", obx, "neither an MDC nor a LOINC code that is known"))
}

fn is_local(obx: &Segment<'_>) -> bool {
    [3, 6].into_iter().any(|system| obx.component(3, system).starts_with("99"))
}

/// Whether an observation has a code of a vital sign: an MDC code, or a LOINC code that is charted.
pub(super) fn is_vital(obx: &Segment<'_>) -> bool {
    [1, 4].into_iter().any(|first| coded(obx, first).is_some() || obx.component(3, first + 2) == "MDC")
}

fn coded(obx: &Segment<'_>, first: usize) -> Option<Code> {
    let (code, name, system) = (obx.component(3, first), obx.component(3, first + 1), obx.component(3, first + 2));
    match &*system {
        // Some senders leave the system out and give MDC's name.
        "MDC" => mdc(&code, &name),
        "" if name.starts_with("MDC_") => mdc(&code, &name),
        "LN" | "LOINC" => Code::from_loinc(&code),
        _ => None,
    }
}

fn mdc(code: &str, name: &str) -> Option<Code> {
    // Comen sends the codes of an arterial line with the names of a cuff: the name is right.
    if let Some(part) = name.strip_prefix("MDC_PRESS_BLD_NONINV_").or_else(|| name.strip_prefix("MDC_PRESS_CUFF_")) {
        match part {
            "SYS" => return Some(Code::NIBP_SYSTOLIC),
            "DIA" => return Some(Code::NIBP_DIASTOLIC),
            "MEAN" => return Some(Code::NIBP_MEAN),
            _ => {}
        }
    }
    Some(match code.parse().ok()? {
        // MDC_PRESS_CUFF_*: the cuff's readings by another name.
        150_301 => Code::NIBP_SYSTOLIC,
        150_302 => Code::NIBP_DIASTOLIC,
        150_303 => Code::NIBP_MEAN,
        number => Code::from_mdc(number),
    })
}

/// OBX-6: an MDC dimension or a UCUM code, first or alternate, of the code's own kind.
fn unit(obx: &Segment<'_>, code: Code) -> Result<Unit, Fault> {
    if obx.field(6).trim().is_empty() {
        return Err(fault("OBX-6", obx, "no unit is stated"));
    }
    let stated = [1, 4].into_iter().find_map(|first| {
        let (unit, name, system) = (obx.component(6, first), obx.component(6, first + 1), obx.component(6, first + 2));
        match &*system {
            "MDC" => unit.parse().ok().and_then(Unit::from_mdc),
            "" if name.starts_with("MDC_DIM_") => unit.parse().ok().and_then(Unit::from_mdc),
            "UCUM" | "" => Unit::from_ucum(&unit),
            _ => None,
        }
    });
    let unit = stated.ok_or_else(|| fault("OBX-6", obx, &format!("unknown unit {:?}", shown_unit(obx))))?;
    match code.unit() {
        Some(charted) if !fits(code, charted, unit) => {
            Err(fault("OBX-6", obx, &format!("unit {} cannot be that of {}", unit.ucum(), code.key())))
        }
        _ => Ok(unit),
    }
}

/// Whether a quantity charted in one unit can be sent in the other.
fn fits(code: Code, charted: Unit, sent: Unit) -> bool {
    const KINDS: &[&[Unit]] = &[
        &[Unit::MmHg, Unit::KiloPascal, Unit::CmH2O],
        &[Unit::Celsius, Unit::Fahrenheit],
        &[Unit::Kilogram, Unit::Pound],
        &[Unit::Centimetre, Unit::Millimetre],
        &[Unit::Millivolt, Unit::Microvolt],
        &[Unit::MilligramPerDecilitre, Unit::MillimolePerLitre],
    ];
    charted == sent
        || KINDS.iter().any(|kind| kind.contains(&charted) && kind.contains(&sent))
        // A gas is sent as a pressure or as a fraction, an ST level as a length on paper or as a voltage.
        || (matches!(code, Code::ET_CO2 | Code::ET_CO2_EXPIRED | Code::FI_CO2) && sent == Unit::Percent)
        || (matches!(code, Code::ST_I | Code::ST_II | Code::ST_V) && sent == Unit::Millivolt)
}

/// OBX-8.
#[derive(Default)]
struct Flags {
    invalid: bool,
    off: bool,
    not_available: bool,
    questionable: bool,
    demo: bool,
}

impl Flags {
    fn of(obx: &Segment<'_>) -> Self {
        let mut flags = Self::default();
        for flag in obx.repetitions(8) {
            match flag.trim() {
                "INV" => flags.invalid = true,
                "OFF" => flags.off = true,
                // Calibrating: the number is not of the patient.
                "NAV" | "CAL" => flags.not_available = true,
                "QUES" => flags.questionable = true,
                "DEMO" | "TEST" => flags.demo = true,
                // Alarm and range flags say nothing about the number itself.
                _ => {}
            }
        }
        flags
    }
}
