//! Serial lines: one folder or file a protocol.

pub mod astm;
pub mod contec_new;
pub mod five_byte;
pub mod ge_dri;
pub mod masimo;
pub mod medibus;
pub mod nellcor;
pub mod nonin;

use driver::profile::Profile;

/// Whether a profile states line settings, which every serial protocol needs.
pub(crate) fn needs_line(profile: &Profile) -> Result<(), String> {
    if profile.serial.is_none() {
        return Err(format!("serial: {} needs line settings", profile.protocol));
    }
    Ok(())
}
