//! A Mindray monitor's server: reports once it is asked, and stops for a host that does not echo.

use super::{Device, whole};
use crate::clock::now_ms;
use crate::physiology::Vitals;

/// The monitor.
#[derive(Default)]
pub struct Mindray {
    asked: bool,
    unheard_s: u32,
    cuff: Option<(u16, u16)>,
    when: String,
}

impl Mindray {
    fn message(kind: u32, rows: &[String]) -> Vec<u8> {
        let text = format!("\u{b}MSH|^~\\&|||||||ORU^R01|{kind}|P|2.3.1|\r{}\r\u{1c}\r", rows.join("\r"));
        text.into_bytes()
    }
}

fn row(code: u32, name: &str, group: u32, value: &str) -> String {
    format!("OBX||NM|{code}^{name}|{group}|{value}||||||F")
}

impl Device for Mindray {
    fn second(&mut self, vitals: &Vitals, sensor_on: bool) -> Vec<Vec<u8>> {
        self.unheard_s += 1;
        if self.unheard_s > 30 {
            self.asked = false;
        }
        if !self.asked {
            return Vec::new();
        }
        let number = |value: f64, on: bool| if on { whole(value).to_string() } else { "-100".to_owned() };
        let periodic = [
            row(101, "HR", 2101, &number(vitals.heart_rate, true)),
            row(151, "RR", 2102, &number(vitals.respiration, true)),
            row(160, "SpO2", 2103, &number(vitals.spo2, sensor_on)),
            row(161, "PR", 2103, &number(vitals.heart_rate, sensor_on)),
            row(200, "T1", 2104, &format!("{:.1}", vitals.temperature)),
        ];
        let mut out = vec![Self::message(204, &periodic), Self::message(106, &[])];
        let cuff = (whole(vitals.systolic), whole(vitals.diastolic));
        // A result keeps its stamp for as long as it is repeated.
        if self.cuff != Some(cuff) || self.when.is_empty() {
            self.when = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or_default().strftime("%Y%m%d%H%M%S").to_string();
            self.cuff = Some(cuff);
        }
        let when = &self.when;
        let timed = |row: String| format!("{row}||APERIODIC|{when}");
        let aperiodic = [timed(row(170, "Sys", 2105, &cuff.0.to_string())), timed(row(171, "Dia", 2105, &cuff.1.to_string()))];
        out.push(Self::message(503, &aperiodic));
        if vitals.spo2 < 90.0 && sensor_on {
            out.push(Self::message(54, &["OBX||CE|54^|1|10034^***SpO2 TOO LOW||||||F".to_owned()]));
        } else {
            out.push(Self::message(54, &[]));
        }
        out
    }
    fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let text = String::from_utf8_lossy(bytes);
        if !text.is_empty() {
            self.unheard_s = 0;
        }
        if text.contains("QRY^R02|1203") {
            self.asked = true;
        }
        Vec::new()
    }
    fn hang_up(&mut self) {
        self.asked = false;
    }
}
