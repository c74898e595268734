//! What decoders of laboratory results share, whatever carries them.

use record::laboratory::{LabCode, is_loinc};

/// The longest code or name kept, in characters.
const TEXT_LEN_MAX: usize = 200;
/// Flags of one result.
const FLAGS_MAX: usize = 8;

/// A code out of the components of a universal test id (`^^^CODE^name`, `LOINC^name^LN`): LOINC where any of them is one,
/// else the first that says anything, with the one after it as its name.
pub(crate) fn code_of(components: &[&str]) -> Option<LabCode> {
    let kept = |text: &str| text.chars().filter(|c| !c.is_control()).take(TEXT_LEN_MAX).collect::<String>();
    let at = components.iter().position(|part| is_loinc(part)).or_else(|| components.iter().position(|part| !part.is_empty()))?;
    let code = components.get(at)?;
    let name = components.get(at + 1).copied().unwrap_or_default();
    Some(LabCode::new(&kept(code), &kept(name)))
}

/// Abnormality flags as sent; "normal" is none.
pub(crate) fn flags<'a>(flags: impl Iterator<Item = &'a str>) -> Vec<String> {
    let said = flags.map(str::trim).filter(|flag| !flag.is_empty() && *flag != "N").take(FLAGS_MAX);
    said.map(|flag| flag.chars().filter(|c| !c.is_control()).take(16).collect()).collect()
}
