//! ORU^R01 as a gateway of the IHE PCD-01 profile writes it.

use super::Options;
use crate::physiology::Vitals;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// One message and what it says, kept until it is acknowledged.
#[derive(Clone)]
pub struct Oru {
    /// MSH-10.
    pub id: String,
    /// When the values were measured, milliseconds since 1970.
    pub t_ms: i64,
    /// The values sent, by LOINC code.
    pub values: Map<String, Value>,
    /// The message, segments ended by CR.
    pub text: String,
}

/// The monitor's own facts.
pub struct Monitor {
    /// Whether the oximeter's sensor is on the patient.
    pub sensor_on: bool,
    device: String,
    patient_id: String,
    location: String,
    session: i64,
    sent: u64,
}

/// One numeric: MDC code and name, containment, unit, LOINC, decimals.
struct Row {
    mdc: &'static str,
    at: &'static str,
    unit: &'static str,
    loinc: &'static str,
    decimals: usize,
    oximeter: bool,
    value: fn(&Vitals) -> f64,
}

const PER_MINUTE: &str = "264864^MDC_DIM_BEAT_PER_MIN^MDC";
const BREATHS: &str = "264928^MDC_DIM_RESP_PER_MIN^MDC";
const PERCENT: &str = "262688^MDC_DIM_PERCENT^MDC";
const MMHG: &str = "266016^MDC_DIM_MMHG^MDC";
const CELSIUS: &str = "268192^MDC_DIM_DEGC^MDC";

const ROWS: [Row; 7] = [
    Row {
        mdc: "147842^MDC_ECG_HEART_RATE^MDC",
        at: "1.5.1.1",
        unit: PER_MINUTE,
        loinc: "8867-4",
        decimals: 0,
        oximeter: false,
        value: |v| v.heart_rate,
    },
    Row {
        mdc: "150456^MDC_PULS_OXIM_SAT_O2^MDC",
        at: "1.22.1.2",
        unit: PERCENT,
        loinc: "59408-5",
        decimals: 0,
        oximeter: true,
        value: |v| v.spo2,
    },
    Row {
        mdc: "151562^MDC_RESP_RATE^MDC",
        at: "1.3.1.1",
        unit: BREATHS,
        loinc: "9279-1",
        decimals: 0,
        oximeter: false,
        value: |v| v.respiration,
    },
    Row {
        mdc: "150021^MDC_PRESS_BLD_NONINV_SYS^MDC",
        at: "1.9.1.1",
        unit: MMHG,
        loinc: "8480-6",
        decimals: 0,
        oximeter: false,
        value: |v| v.systolic,
    },
    Row {
        mdc: "150022^MDC_PRESS_BLD_NONINV_DIA^MDC",
        at: "1.9.1.2",
        unit: MMHG,
        loinc: "8462-4",
        decimals: 0,
        oximeter: false,
        value: |v| v.diastolic,
    },
    Row {
        mdc: "150023^MDC_PRESS_BLD_NONINV_MEAN^MDC",
        at: "1.9.1.3",
        unit: MMHG,
        loinc: "8478-0",
        decimals: 0,
        oximeter: false,
        value: Vitals::mean_pressure,
    },
    Row {
        mdc: "150344^MDC_TEMP^MDC",
        at: "1.12.1.1",
        unit: CELSIUS,
        loinc: "8310-5",
        decimals: 1,
        oximeter: false,
        value: |v| v.temperature,
    },
];

impl Monitor {
    /// A monitor whose message ids never repeat those of an earlier start.
    #[must_use]
    pub fn new(seed: u64, started_ms: i64, options: &Options) -> Self {
        let device = format!("0200FFFFFE{:06X}", seed & 0xff_ffff);
        Self {
            sensor_on: true,
            device,
            patient_id: options.patient_id.clone(),
            location: options.location.clone(),
            session: started_ms,
            sent: 0,
        }
    }

    /// The next message.
    pub fn message(&mut self, now_ms: i64, vitals: &Vitals) -> Oru {
        self.sent += 1;
        let id = format!("{:X}.{}", self.session, self.sent);
        let (time, device) = (hl7_time(now_ms), &self.device);
        let mut values = Map::new();
        let mut text = format!(
            "MSH|^~\\&|LAMPSIM^{device}^EUI-64|SIM|||{time}||ORU^R01^ORU_R01|{id}|P|2.6|||NE|AL||UNICODE UTF-8|||PCD_DEC_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r\
             PID|||{}^^^PID^MR||TEST^PATIENT^^^^^L\r\
             PV1||I|{}\r\
             OBR|1|{id}^LAMPSIM^{device}^EUI-64|{id}^LAMPSIM^{device}^EUI-64|182777000^monitoring of patient^SCT|||{time}\r\
             OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X\r",
            self.patient_id, self.location
        );
        for (number, row) in (2..).zip(&ROWS) {
            let Row { mdc, at, unit, loinc, decimals, .. } = row;
            let measured = self.sensor_on || !row.oximeter;
            let number_sent = format!("{:.decimals$}", (row.value)(vitals));
            let (value, flags, status) = if measured { (number_sent.as_str(), "", "R") } else { ("", "OFF", "X") };
            let _ = write!(text, "OBX|{number}|NM|{mdc}|{at}|{value}|{unit}||{flags}|||{status}|||{time}||||{device}^LAMPSIM\r");
            if measured && let Ok(sent) = number_sent.parse::<serde_json::Number>() {
                values.insert((*loinc).to_owned(), json!(sent));
            }
        }
        Oru { id, t_ms: now_ms, values, text }
    }
}

fn hl7_time(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    at.strftime("%Y%m%d%H%M%S.%3f+0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physiology::{Course, Patient};

    #[test]
    fn a_sensor_that_is_off_is_sent_as_not_available_and_kept_out_of_the_values() {
        let options = Options { connect: String::new(), patient_id: "TEST0001".into(), location: "W^1^A".into(), ack_log: None };
        let mut monitor = Monitor::new(1, 0, &options);
        monitor.sensor_on = false;
        let message = monitor.message(1_421_591_400_250, &Patient::new(1, Course::Stable).advance(0.0));
        assert!(message.text.contains("|20150118143000.250+0000|"), "{}", message.text);
        assert!(
            message.text.contains("OBX|3|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.22.1.2||262688^MDC_DIM_PERCENT^MDC||OFF|||X|||"),
            "{}",
            message.text
        );
        assert!(!message.values.contains_key("59408-5"));
        assert_eq!(message.values.len(), 6);
    }
}
