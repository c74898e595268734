//! What every target does: bytes, cut anywhere, through each driver of a family.
//!
//! The first byte of an input chooses the driver, the second where the rest is cut. Besides not panicking, a stream must
//! say the same wherever it is cut, and a driver must find its feet again after its link came back.

use catalogue::{Link, ProtocolRow};
use driver::profile::Profile;
use driver::{In, Out};
use record::time::Monotonic;

/// Feeds one input to the driver it chooses.
///
/// # Panics
/// A driver panics, or says something else when its stream is cut.
pub fn family(protocols: &[&str], data: &[u8]) {
    let &[choice, cut, ref bytes @ ..] = data else { return };
    let id = protocols[usize::from(choice) % protocols.len()];
    let row = catalogue::protocol(id).expect("a protocol of the catalogue");
    let cut = usize::from(cut) * bytes.len() / 256;
    let whole = hear(row, &[bytes]);
    if !matches!(row.link, Link::Ble | Link::Udp(_)) {
        assert_eq!(whole, hear(row, &[&bytes[..cut], &bytes[cut..]]), "{id} cut at {cut}");
    }
    let _ = catalogue::decode(id, bytes);
}

fn hear(row: &ProtocolRow, pieces: &[&[u8]]) -> Vec<Out> {
    let mut driver = (row.make)(&Profile::bare(row.id));
    let mut out = driver.handle(Monotonic(0), In::Connected);
    for piece in pieces {
        out.extend(driver.handle(Monotonic(1), In::Bytes(row.channel, piece)));
    }
    out.extend(driver.handle(Monotonic(60_000_000), In::Wake));
    out.extend(driver.handle(Monotonic(60_000_000), In::Disconnected));
    driver.handle(Monotonic(61_000_000), In::Connected);
    out
}
