//! What a simulated device puts on the wire, the driver reads: encoders and decoders are written apart, from the same
//! descriptions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use driver::profile::Profile;
use driver::{About, Channel, Driver, In, Out};
use proptest::prelude::*;
use record::code::Code;
use record::laboratory::LabKind;
use record::time::Monotonic;
use simulators::ble::peripheral::{Kind, Peripheral};
use simulators::control::Command;
use simulators::faults::Faults;
use simulators::physiology::{Course, Patient, Vitals};
use simulators::table::Table;
use simulators::wire::{self, Device, PROTOCOLS};

/// A device and its driver, with nothing but time between them.
struct Ward {
    device: Box<dyn Device>,
    driver: Box<dyn Driver>,
    now: u64,
    wake: Option<u64>,
    out: Vec<Out>,
}

impl Ward {
    fn new(protocol: &str, profile: &Profile) -> Self {
        let row = catalogue::protocol(protocol).expect("protocol");
        let mut ward =
            Self { device: wire::device(protocol).expect("device"), driver: (row.make)(profile), now: 0, wake: None, out: Vec::new() };
        ward.handle(In::Connected);
        ward
    }

    fn handle(&mut self, input: In<'_>) {
        let mut answers = Vec::new();
        for out in self.driver.handle(Monotonic(self.now), input) {
            match out {
                Out::Send(_, bytes) | Out::Acknowledge(_, bytes) => answers.extend(self.device.hear(&bytes)),
                Out::WakeAt(at) => self.wake = Some(at.0),
                other => self.out.push(other),
            }
        }
        for answer in answers {
            self.handle(In::Bytes(Channel::Stream, &answer));
        }
    }

    fn seconds(&mut self, count: u32, vitals: &Vitals, sensor_on: bool) {
        for _ in 0..count {
            self.now += 1_000_000;
            while self.wake.is_some_and(|at| at <= self.now) {
                self.wake = None;
                self.handle(In::Wake);
            }
            for message in self.device.second(vitals, sensor_on) {
                self.handle(In::Bytes(Channel::Stream, &message));
            }
        }
    }

    /// The last value of a code, or its status; what came before is forgotten.
    fn last(&self, code: Code) -> Option<String> {
        let read = |out: &Out| match out {
            Out::Reading(reading) if reading.code == code => {
                Some(reading.value.as_ref().map_or_else(|_| reading.status(), |v| format!("{:.0}", v.to_f64())))
            }
            _ => None,
        };
        self.out.iter().rev().find_map(read)
    }
}

fn oximeters() -> impl Iterator<Item = &'static str> {
    PROTOCOLS.into_iter().filter(|protocol| *protocol != "astm.lis2")
}

fn patient(heart_rate: f64, spo2: f64) -> Vitals {
    Vitals { heart_rate, spo2, respiration: 16.0, temperature: 36.8, systolic: 122.0, diastolic: 78.0, glucose: 104.0, weight: 72.25 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_pulse_and_saturation_arrives_as_it_was_shown(heart_rate in 30u16..240, spo2 in 60u16..=100) {
        for protocol in oximeters() {
            let mut ward = Ward::new(protocol, &Profile::bare(protocol));
            ward.seconds(6, &patient(heart_rate.into(), spo2.into()), true);
            prop_assert_eq!(ward.last(Code::SPO2), Some(spo2.to_string()), "{}", protocol);
            prop_assert_eq!(ward.last(Code::PULSE_RATE), Some(heart_rate.to_string()), "{}", protocol);
            let faults: Vec<&Out> = ward.out.iter().filter(|o| matches!(o, Out::Fault(_))).collect();
            prop_assert!(faults.is_empty(), "{}: {:?}", protocol, faults);
        }
    }
}

#[test]
fn a_sensor_taken_off_leaves_no_number_behind() {
    for protocol in oximeters() {
        let mut ward = Ward::new(protocol, &Profile::bare(protocol));
        ward.seconds(6, &patient(72.0, 97.0), true);
        ward.out.clear();
        ward.seconds(3, &patient(72.0, 97.0), false);
        let last = ward.last(Code::SPO2).unwrap_or_else(|| panic!("{protocol} says nothing"));
        assert!(last == "sensor-off" || last == "not-measured", "{protocol}: {last}");
    }
}

#[test]
fn a_bedside_monitor_gives_its_other_vitals_too() {
    for protocol in ["mindray.231", "philips.intellivue", "philips.intellivue-serial"] {
        let mut ward = Ward::new(protocol, &Profile::bare(protocol));
        ward.seconds(6, &patient(72.0, 97.0), true);
        for (code, want) in [
            (Code::HEART_RATE, "72"),
            (Code::RESPIRATORY_RATE, "16"),
            (Code::TEMPERATURE, "37"),
            (Code::NIBP_SYSTOLIC, "122"),
            (Code::NIBP_DIASTOLIC, "78"),
        ] {
            assert_eq!(ward.last(code).as_deref(), Some(want), "{protocol} {}", code.key());
        }
        let cuffs = ward.out.iter().filter(|o| matches!(o, Out::Reading(r) if r.code == Code::NIBP_SYSTOLIC)).count();
        assert!(cuffs <= 2, "{protocol} charts a cuff result each second: {cuffs}");
    }
}

#[test]
fn a_low_saturation_is_the_devices_own_alarm_until_it_ends() {
    for protocol in ["mindray.231", "philips.intellivue", "draeger.medibus", "nellcor.ascii"] {
        let mut ward = Ward::new(protocol, &Profile::bare(protocol));
        ward.seconds(10, &patient(110.0, 84.0), true);
        ward.seconds(10, &patient(80.0, 97.0), true);
        let states: Vec<bool> = ward.out.iter().filter_map(|o| if let Out::Alarm(a) = o { Some(a.active) } else { None }).collect();
        assert_eq!(states, [true, false], "{protocol}");
    }
}

#[test]
fn waves_come_at_the_rate_they_state() {
    for (protocol, rate) in [
        ("contec.cms50-old", 60),
        ("contec.cms50-new", 60),
        ("bci.oximeter", 100),
        ("nonin.df2", 75),
        ("nonin.df7", 75),
        ("philips.intellivue", 125),
        ("philips.intellivue-serial", 125),
    ] {
        let mut profile = Profile::bare(protocol);
        profile.waves = vec![Code::PLETH];
        let mut ward = Ward::new(protocol, &profile);
        ward.seconds(3, &patient(72.0, 97.0), true);
        ward.out.clear();
        ward.seconds(4, &patient(72.0, 97.0), true);
        ward.handle(In::Disconnected);
        let blocks: Vec<_> = ward.out.iter().filter_map(|o| if let Out::Wave(w) = o { Some(w) } else { None }).collect();
        let samples: usize = blocks.iter().map(|w| w.raw.len()).sum();
        assert!(samples.abs_diff(4 * rate) <= rate / 4, "{protocol}: {samples}");
        assert!(blocks.iter().all(|w| w.code == Code::PLETH && w.rate_hz.to_f64() as usize == rate && w.good), "{protocol}");
    }
}

#[test]
fn an_analyser_is_answered_frame_by_frame_until_its_results_are_here() {
    let mut ward = Ward::new("astm.lis2", &Profile::bare("astm.lis2"));
    ward.seconds(21, &patient(72.0, 97.0), true);
    let reports: Vec<_> = ward.out.iter().filter_map(|o| if let Out::Laboratory(r) = o { Some(r) } else { None }).collect();
    assert_eq!(reports.len(), 3);
    assert_eq!(reports.iter().map(|r| r.specimen.as_deref().unwrap()).collect::<Vec<_>>(), ["SIM00001", "SIM00002", "SIM00003"]);
    assert!(reports.iter().all(|r| r.results.len() == 2 && r.kind == LabKind::Patient));
    assert!(!ward.out.iter().any(|o| matches!(o, Out::Fault(_))));
}

#[test]
fn a_frame_damaged_on_the_way_is_sent_again_and_nothing_is_charted_twice() {
    let mut ward = Ward::new("astm.lis2", &Profile::bare("astm.lis2"));
    let [enquiry] = &ward.device.second(&patient(72.0, 97.0), true)[..] else { panic!() };
    let mut next = vec![enquiry.clone()];
    let mut damaged = false;
    while let Some(mut message) = next.pop() {
        if message.len() > 30 && !std::mem::replace(&mut damaged, true) {
            message[12] ^= 4;
        }
        for out in ward.driver.handle(Monotonic(0), In::Bytes(Channel::Stream, &message)) {
            match out {
                Out::Acknowledge(_, bytes) => next.extend(ward.device.hear(&bytes)),
                other => ward.out.push(other),
            }
        }
    }
    assert_eq!(ward.out.iter().filter(|o| matches!(o, Out::Laboratory(_))).count(), 1);
    assert_eq!(ward.out.iter().filter(|o| matches!(o, Out::Fault(_))).count(), 1);
}

/// Notifications of a simulated Bluetooth device, read by its driver.
fn heard(kind: Kind, seconds: u32, vitals: &Vitals, sensor_on: bool) -> Vec<Out> {
    let row = catalogue::protocol(kind.protocol()).expect("protocol");
    let mut driver = (row.make)(&Profile::bare(kind.protocol()));
    let mut device = Peripheral::on_a_table(kind);
    device.sensor_on = sensor_on;
    driver.handle(Monotonic(0), In::Connected);
    if let Some(start) = device.session_start() {
        driver.handle(Monotonic(0), In::Bytes(Channel::assigned(0x2AAA), &start));
    }
    let mut out = Vec::new();
    for second in 1..=seconds {
        let said = device.measurement(vitals).into_iter().chain(device.replay()).collect::<Vec<_>>();
        for value in said {
            out.extend(driver.handle(Monotonic(u64::from(second) * 1_000_000), In::Bytes(row.channel, &value)));
        }
    }
    // What only answers is asked for everything.
    device.link.requests.lock().expect("lock").push(vec![1, 1]);
    let records = device.answers().into_iter().flat_map(|(records, _)| records).filter(|_| kind == Kind::GlucoseMeter);
    for record in records {
        out.extend(driver.handle(Monotonic(u64::from(seconds) * 1_000_000), In::Bytes(row.channel, &record)));
    }
    out
}

#[test]
fn every_bluetooth_device_is_read_as_it_was_shown_and_without_its_sensor_as_nothing() {
    let vitals = patient(72.0, 97.0);
    for (kind, code, want) in [
        (Kind::HeartRate, Code::HEART_RATE, "72"),
        (Kind::Oximeter, Code::SPO2, "97"),
        (Kind::SpotOximeter, Code::SPO2, "97"),
        (Kind::BloodPressure, Code::NIBP_SYSTOLIC, "122"),
        (Kind::Thermometer, Code::TEMPERATURE_EAR, "36.8"),
        (Kind::Scale, Code::WEIGHT, "72.250"),
        (Kind::GlucoseMeter, Code::GLUCOSE_CAPILLARY, "104"),
        (Kind::GlucoseSensor, Code::GLUCOSE_INTERSTITIAL, "104"),
        (Kind::BodyScale, Code::WEIGHT, "72.250"),
    ] {
        let readings = |out: Vec<Out>| {
            assert!(!out.iter().any(|o| matches!(o, Out::Fault(_))), "{kind:?}: {out:?}");
            let of = |o| if let Out::Reading(reading) = o { Some(reading) } else { None };
            out.into_iter().filter_map(of).filter(|reading| reading.code == code).collect::<Vec<_>>()
        };
        let on = readings(heard(kind, 70, &vitals, true));
        assert!(!on.is_empty(), "{kind:?} says nothing of {}", code.key());
        assert!(on.iter().all(|r| r.value.as_ref().is_ok_and(|v| v.to_string() == want)), "{kind:?}: {on:?}");
        if matches!(kind, Kind::Scale | Kind::BodyScale | Kind::GlucoseMeter) {
            continue;
        }
        let off = readings(heard(kind, 70, &vitals, false));
        assert!(off.iter().all(|r| r.value.is_err()), "{kind:?}: {off:?}");
    }
}

#[test]
fn every_protocol_of_the_catalogue_is_spoken_here() {
    let bluetooth = Kind::ALL.map(Kind::protocol);
    let spoken = |id: &&str| bluetooth.contains(id) || PROTOCOLS.contains(id) || matches!(*id, "ge.dri" | "hl7.oru");
    let silent: Vec<&str> = catalogue::PROTOCOLS.iter().map(|row| row.id).filter(|id| !spoken(id)).collect();
    assert_eq!(silent, Vec::<&str>::new());
}

#[test]
fn a_recorded_table_comes_through_every_wire_as_it_was_recorded() {
    let table = Table::parse("time,8889-8,59408-5,9279-1\n0,71,96,14\n20,133,84,28\n").expect("table");
    for protocol in oximeters() {
        let mut patient = Patient::new(1, Course::Stable).playing(table.clone(), 1.0);
        let mut ward = Ward::new(protocol, &Profile::bare(protocol));
        let mut seen = Vec::new();
        for _ in 0..30 {
            ward.seconds(1, &patient.advance(1.0), true);
            seen.push((ward.last(Code::SPO2), ward.last(Code::PULSE_RATE)));
        }
        let both = |spo2: &str, pulse: &str| (Some(spo2.to_owned()), Some(pulse.to_owned()));
        assert!(seen.contains(&both("96", "71")) && seen.last() == Some(&both("84", "133")), "{protocol}: {seen:?}");
    }
}

/// A device whose messages something happens to on their way.
struct BadLine {
    ward: Ward,
    faults: Faults,
    noise: Patient,
}

impl BadLine {
    fn new(protocol: &str) -> Self {
        let ward = Ward::new(protocol, &Profile::bare(protocol));
        Self { ward, faults: Faults::default(), noise: Patient::new(5, Course::Stable) }
    }

    fn seconds(&mut self, count: u32, vitals: &Vitals) {
        for _ in 0..count {
            self.ward.now += 1_000_000;
            while self.ward.wake.is_some_and(|at| at <= self.ward.now) {
                self.ward.wake = None;
                self.ward.handle(In::Wake);
            }
            for message in self.ward.device.second(vitals, true) {
                if let Some(message) = self.faults.mangle(message) {
                    self.ward.handle(In::Bytes(Channel::Stream, &message));
                }
            }
        }
    }

    fn does(&mut self, fault: &str, vitals: &Vitals) {
        match fault {
            "garbage" => {
                let noise = self.noise.noise(64);
                self.ward.handle(In::Bytes(Channel::Stream, &noise));
            }
            "again" => {
                let said = self.ward.device.second(vitals, true);
                for message in said.iter().chain(&said) {
                    self.ward.handle(In::Bytes(Channel::Stream, message));
                }
            }
            "flap" => {
                for _ in 0..20 {
                    self.ward.device.hang_up();
                    self.ward.handle(In::Disconnected);
                    self.ward.handle(In::Connected);
                }
            }
            command => {
                self.faults.hear(&Command::parse(command).expect("a command"), "");
                self.seconds(1, vitals);
            }
        }
    }
}

#[test]
fn whatever_goes_wrong_on_a_wire_the_numbers_are_right_again_soon_after() {
    for protocol in oximeters() {
        for fault in ["lose", "corrupt", "truncate", "garbage", "again", "flap"] {
            let mut line = BadLine::new(protocol);
            line.seconds(8, &patient(72.0, 97.0));
            line.does(fault, &patient(72.0, 97.0));
            // A datagram monitor that lost its host's keep-alive associates anew.
            line.seconds(15, &patient(81.0, 95.0));
            line.ward.out.clear();
            line.seconds(6, &patient(81.0, 95.0));
            let last = (line.ward.last(Code::SPO2), line.ward.last(Code::PULSE_RATE));
            assert_eq!(last, (Some("95".to_owned()), Some("81".to_owned())), "{protocol} after {fault}");
            assert!(!line.ward.out.iter().any(|o| matches!(o, Out::Fault(_))), "{protocol} is still confused after {fault}");
        }
    }
}

#[test]
fn a_cuff_result_that_is_repeated_each_second_is_charted_once() {
    for protocol in ["mindray.231", "philips.intellivue", "philips.intellivue-serial"] {
        let mut line = BadLine::new(protocol);
        line.seconds(20, &patient(72.0, 97.0));
        line.does("again", &patient(72.0, 97.0));
        let cuffs = line.ward.out.iter().filter(|o| matches!(o, Out::Reading(r) if r.code == Code::NIBP_SYSTOLIC)).count();
        assert!((1..=3).contains(&cuffs), "{protocol}: {cuffs}");
    }
}

#[test]
fn a_stepped_clock_of_a_device_is_what_its_stamps_say() {
    let stamps = |line: &mut BadLine| {
        line.ward.out.clear();
        line.seconds(3, &patient(72.0, 97.0));
        line.ward.out.iter().rev().find_map(|o| if let Out::About(About::Clock(at)) = o { Some(at.millis()) } else { None })
    };
    let mut line = BadLine::new("masimo.ascii");
    let before = stamps(&mut line).expect("its clock");
    simulators::clock::step(3600);
    line.ward.handle(In::Disconnected);
    line.ward.handle(In::Connected);
    let after = stamps(&mut line).expect("its clock");
    simulators::clock::step(-3600);
    assert!((3_590_000..3_620_000).contains(&(after - before)), "{before} {after}");
}
