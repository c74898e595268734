//! The shipped profiles and the table of protocols.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use catalogue::{Link, PROTOCOLS, decode, profile, profiles, protocol};
use driver::profile::Profile;
use std::collections::BTreeSet;

#[test]
fn every_shipped_profile_is_read_and_its_protocol_known() {
    let shipped = profiles().expect("every shipped profile");
    let names: BTreeSet<_> = shipped.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names.len(), shipped.len());
    for row in PROTOCOLS {
        assert!(shipped.iter().any(|p| p.protocol == row.id), "{} has no profile", row.id);
    }
    for profile in &shipped {
        let row = protocol(&profile.protocol).expect("protocol");
        assert_eq!(row.link == Link::Serial, profile.serial.is_some(), "{}", profile.name);
    }
}

#[test]
fn a_streaming_bedside_device_shows_unplugged_within_ten_seconds() {
    for profile in
        profiles().expect("profiles").iter().filter(|p| matches!(&*p.protocol, "ble.heart-rate" | "ble.plx-continuous" | "ge.dri"))
    {
        assert!(profile.silence_s.is_some_and(|s| s < 10), "{}", profile.name);
    }
}

#[test]
fn a_profile_lacking_what_its_protocol_needs_is_refused_by_name() {
    let page = |protocol: &str, rest: &str| {
        format!("maker='A'\nmodel='B'\nprotocol='{protocol}'\nevidence='spec'\nmeasures=[{{code='spo2',unit='%',low=0,high=100}}]\n{rest}")
    };
    let serial = "serial={baud=19200,data_bits=8,parity='even',stop_bits=1}\n";
    for (text, names) in [
        (page("ge.dry", ""), "ge.dri"),
        (page("ble.heart-rate", "feed=[{characteristic='2A5F',mode='notify'}]"), "feed"),
        (page("ge.dri", ""), "serial"),
        (page("ge.dri", &format!("{serial}interval_s=4")), "interval_s"),
        (page("ge.dri", &format!("{serial}waves=['spo2']")), "waves"),
        (page("ge.dri", &format!("{serial}waves=['ecg','ecg-ii','pleth']")), "waves"),
    ] {
        let error = profile("site.toml", &text).expect_err(&text).to_string();
        assert!(error.starts_with("site.toml: ") && error.contains(names), "{error}");
    }
    assert!(profile("site.toml", &page("ge.dri", &format!("{serial}waves=['ecg','pleth']\ninterval_s=5"))).is_ok());
}

#[test]
fn an_unknown_protocol_is_refused_with_those_that_are_known() {
    let error = decode("ble.hart-rate", &[]).expect_err("unknown").to_string();
    assert!(error.contains("ble.hart-rate") && error.contains("ble.heart-rate") && error.contains("hl7.oru"), "{error}");
}

#[test]
fn ids_are_unique_and_every_row_makes_a_driver() {
    assert_eq!(PROTOCOLS.iter().map(|row| row.id).collect::<BTreeSet<_>>().len(), PROTOCOLS.len());
    for row in PROTOCOLS {
        (row.make)(&Profile::bare(row.id));
    }
}
