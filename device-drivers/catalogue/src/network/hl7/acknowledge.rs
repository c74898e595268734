//! Acknowledgements: what a message asks for (MSH-15, MSH-16), and what is answered.

use super::message::{Message, Separators};
use driver::frame::mllp;
use driver::profile::Acknowledge;

/// How a message was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// All of it was read.
    Accepted,
    /// Some of it could not be read: what, with the field's name.
    Error(String),
    /// It is of a kind that is not read here at all.
    Rejected(String),
}

/// What MSH-15 and MSH-16 may ask for: an answer always, never, on error, on success.
const CONDITIONS: [&str; 4] = ["AL", "NE", "ER", "SU"];
/// The longest text sent back, in characters.
const TEXT_LEN_MAX: usize = 200;

/// The answers to `message`, framed: none, one, or in enhanced mode two. `number` makes their ids unique.
#[must_use]
pub fn answers(message: &Message<'_>, verdict: &Verdict, policy: Acknowledge, number: u64) -> Vec<Vec<u8>> {
    if policy == Acknowledge::Never {
        return Vec::new();
    }
    let accepted = Verdict::Accepted;
    let verdict = if policy == Acknowledge::Accept && matches!(verdict, Verdict::Error(_)) { &accepted } else { verdict };
    let header = message.header();
    // Mindray's analysers put the kind of sample into MSH-16: what is no condition asks for nothing.
    let condition = |field| header.component(field, 1).into_owned();
    let [accept, application] = [15, 16].map(condition).map(|text| if CONDITIONS.contains(&text.as_str()) { text } else { String::new() });
    if accept.is_empty() && application.is_empty() {
        return vec![answer(message, verdict, 'A', number)];
    }
    let mut answers = Vec::new();
    if wanted(&accept, verdict) {
        answers.push(answer(message, verdict, 'C', number));
    }
    if wanted(&application, verdict) {
        answers.push(answer(message, verdict, 'A', number));
    }
    answers
}

fn wanted(condition: &str, verdict: &Verdict) -> bool {
    match condition {
        "AL" => true,
        "ER" => *verdict != Verdict::Accepted,
        "SU" => *verdict == Verdict::Accepted,
        // NE, and nothing stated beside the other condition.
        _ => false,
    }
}

fn answer(message: &Message<'_>, verdict: &Verdict, mode: char, number: u64) -> Vec<u8> {
    let header = message.header();
    let Separators { field: f, component: c, repetition: r, escape: e, subcomponent: s } = message.separators;
    let (code, text) = match verdict {
        Verdict::Accepted => ('A', ""),
        Verdict::Error(text) => ('E', text.as_str()),
        Verdict::Rejected(text) => ('R', text.as_str()),
    };
    let trigger = header.component(9, 2);
    let kind = if trigger.is_empty() { "ACK".to_owned() } else { format!("ACK{c}{trigger}{c}ACK") };
    let or = |text: &str, usual: &str| if text.is_empty() { usual.to_owned() } else { text.to_owned() };
    let (processing, version) = (or(header.field(11), "P"), or(header.field(12), "2.6"));
    // The sender's own time is given back: there is no wall clock here, and the field is required.
    let (app, facility, time, id) = (header.field(3), header.field(4), header.field(7), header.field(10));
    let text = escaped(text, message.separators);
    let answer = format!(
        "MSH{f}{c}{r}{e}{s}{f}LAMPLIGHT{f}{f}{app}{f}{facility}{f}{time}{f}{f}{kind}{f}LL{number}{f}{processing}{f}{version}\r\
         MSA{f}{mode}{code}{f}{id}{f}{text}\r"
    );
    mllp(answer.as_bytes())
}

/// The answer to a monitor that asks who its patient is (`QRY^R02`) before it reports: its question back, and nobody. A
/// patient's name never leaves the record this way.
#[must_use]
pub fn nobody(message: &Message<'_>, number: u64) -> Vec<u8> {
    let header = message.header();
    let Separators { field: f, component: c, repetition: r, escape: e, subcomponent: s } = message.separators;
    let version = if header.field(12).is_empty() { "2.4" } else { header.field(12) };
    let (app, facility, time, id) = (header.field(3), header.field(4), header.field(7), header.field(10));
    let mut answer = format!(
        "MSH{f}{c}{r}{e}{s}{f}LAMPLIGHT{f}{f}{app}{f}{facility}{f}{time}{f}{f}ORF{c}R04{f}LL{number}{f}P{f}{version}\r\
         MSA{f}AA{f}{id}\r"
    );
    for segment in message.segments.iter().filter(|segment| matches!(segment.name(), "QRD" | "QRF")) {
        answer.extend(segment.text().chars().take(QUERY_LEN_MAX));
        answer.push('\r');
    }
    mllp(answer.as_bytes())
}

/// The longest part of a question given back, in characters.
const QUERY_LEN_MAX: usize = 1000;

fn escaped(text: &str, separators: Separators) -> String {
    let mut escaped = String::new();
    for c in text.chars().filter(|c| !c.is_control()).take(TEXT_LEN_MAX) {
        let letter = match c {
            _ if c == separators.field => 'F',
            _ if c == separators.component => 'S',
            _ if c == separators.subcomponent => 'T',
            _ if c == separators.repetition => 'R',
            _ if c == separators.escape => 'E',
            _ => {
                escaped.push(c);
                continue;
            }
        };
        escaped.extend([separators.escape, letter, separators.escape]);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(accept: &str, application: &str, verdict: &Verdict, policy: Acknowledge) -> Vec<String> {
        let text = format!("MSH|^~\\&|MON||||20150118143000+0000||ORU^R01^ORU_R01|id7|P|2.6|||{accept}|{application}\r");
        let message = Message::parse(&text).expect("message");
        let answers = answers(&message, verdict, policy, 1);
        let text = |answer: Vec<u8>| String::from_utf8(answer).expect("text");
        answers.into_iter().map(text).map(|a| a.split("MSA|").nth(1).expect("MSA").chars().take(2).collect()).collect()
    }

    #[test]
    fn original_mode_is_always_answered() {
        let error = Verdict::Error("x".to_owned());
        let rejected = Verdict::Rejected("x".to_owned());
        assert_eq!(codes("", "", &Verdict::Accepted, Acknowledge::AsAsked), ["AA"]);
        assert_eq!(codes("", "", &error, Acknowledge::AsAsked), ["AE"]);
        assert_eq!(codes("", "", &rejected, Acknowledge::AsAsked), ["AR"]);
    }

    #[test]
    fn enhanced_mode_is_answered_as_each_condition_asks() {
        let error = Verdict::Error("x".to_owned());
        let ok = Verdict::Accepted;
        let asked = |a: &str, b: &str, v: &Verdict| codes(a, b, v, Acknowledge::AsAsked).join(" ");
        assert_eq!(asked("AL", "AL", &ok), "CA AA");
        assert_eq!(asked("NE", "AL", &ok), "AA");
        assert_eq!(asked("AL", "NE", &error), "CE");
        assert_eq!(asked("NE", "NE", &error), "");
        assert_eq!(asked("ER", "SU", &ok), "AA");
        assert_eq!(asked("ER", "SU", &error), "CE");
        assert_eq!(asked("", "ER", &ok), "");
    }

    #[test]
    fn what_is_no_condition_asks_for_nothing() {
        assert_eq!(codes("", "0", &Verdict::Accepted, Acknowledge::AsAsked), ["AA"]);
        assert_eq!(codes("", "2", &Verdict::Accepted, Acknowledge::AsAsked), ["AA"]);
    }

    #[test]
    fn the_profile_has_the_last_word() {
        let error = Verdict::Error("x".to_owned());
        assert!(codes("AL", "AL", &Verdict::Accepted, Acknowledge::Never).is_empty());
        assert_eq!(codes("", "", &error, Acknowledge::Accept), ["AA"]);
        assert_eq!(codes("", "", &Verdict::Rejected(String::new()), Acknowledge::Accept), ["AR"]);
    }

    #[test]
    fn an_answer_names_the_message_and_escapes_its_text() {
        let message = Message::parse("MSH|^~\\&|MON^E^EUI-64|GE|||20150118143000||ORU^R01|id7|T|2.6").expect("message");
        let answers = answers(&message, &Verdict::Error("OBX-6: unit | ^\r".to_owned()), Acknowledge::AsAsked, 3);
        let want = "\x0BMSH|^~\\&|LAMPLIGHT||MON^E^EUI-64|GE|20150118143000||ACK^R01^ACK|LL3|T|2.6\r\
                    MSA|AE|id7|OBX-6: unit \\F\\ \\S\\\r\x1C\r";
        assert_eq!(answers, [want.as_bytes()]);
    }
}
