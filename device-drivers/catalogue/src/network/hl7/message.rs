//! A message taken apart: segments, fields, components, by the separators it states itself.

use driver::DecodeError;
use std::borrow::Cow;

/// The separators a message states in MSH-1 and MSH-2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Separators {
    /// Between fields (`|`).
    pub field: char,
    /// Between components of a field (`^`).
    pub component: char,
    /// Between repetitions of a field (`~`).
    pub repetition: char,
    /// Around an escape (`\`).
    pub escape: char,
    /// Between parts of a component (`&`).
    pub subcomponent: char,
}

/// A message, borrowed from its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// The separators it states.
    pub separators: Separators,
    /// Its segments, in order; the first is `MSH`.
    pub segments: Vec<Segment<'a>>,
}

/// One segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    text: &'a str,
    separators: Separators,
}

impl<'a> Message<'a> {
    /// Takes `text` apart. Segments end with CR, LF or both.
    ///
    /// # Errors
    /// Text that does not begin with `MSH`, or states separators that cannot separate.
    pub fn parse(text: &'a str) -> Result<Self, DecodeError> {
        let text = text.trim_start_matches(['\u{FEFF}', '\r', '\n', ' ']);
        let refuse = |field, why: &str| DecodeError::Field { field, why: why.to_owned() };
        let rest = text.strip_prefix("MSH").ok_or_else(|| refuse("MSH", "the message does not begin with MSH"))?;
        let mut rest = rest.chars();
        let field = rest.next().filter(|c| can_separate(*c)).ok_or_else(|| refuse("MSH-1", "no field separator"))?;
        let mut stated = rest.as_str().split([field, '\r', '\n']).next().unwrap_or_default().chars();
        let mut next = |usual| stated.next().unwrap_or(usual);
        let separators = Separators { field, component: next('^'), repetition: next('~'), escape: next('\\'), subcomponent: next('&') };
        let all = [separators.component, separators.repetition, separators.escape, separators.subcomponent];
        if all.iter().any(|c| !can_separate(*c) || *c == field)
            || all.iter().enumerate().any(|(n, c)| all.iter().skip(n + 1).any(|d| d == c))
        {
            return Err(refuse("MSH-2", "separators that are letters, digits or equal"));
        }
        let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
        Ok(Self { separators, segments: lines.map(|text| Segment { text, separators }).collect() })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> Segment<'a> {
        self.segments.first().copied().unwrap_or(Segment { text: "", separators: self.separators })
    }
}

const fn can_separate(c: char) -> bool {
    c.is_ascii() && !c.is_ascii_alphanumeric() && !c.is_ascii_control() && c != ' '
}

impl<'a> Segment<'a> {
    /// The separators of its message.
    #[must_use]
    pub const fn separators(&self) -> Separators {
        self.separators
    }
    /// The segment as sent.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }
    /// `OBX`, `MSH`, …
    #[must_use]
    pub fn name(&self) -> &'a str {
        part(self.text, self.separators.field, 0)
    }
    /// Field `n` as sent, counted from 1 as the standard does; empty where there is none.
    #[must_use]
    pub fn field(&self, n: usize) -> &'a str {
        // MSH-1 is the separator itself, so the header's fields count from one later.
        let n = if self.name() == "MSH" { n.saturating_sub(1) } else { n };
        part(self.text, self.separators.field, n)
    }
    /// The repetitions of a field, as sent.
    pub fn repetitions(&self, n: usize) -> impl Iterator<Item = &'a str> + use<'a> {
        self.field(n).split(self.separators.repetition)
    }
    /// Component `m` of the first repetition of field `n`, both counted from 1, escapes resolved.
    #[must_use]
    pub fn component(&self, n: usize, m: usize) -> Cow<'a, str> {
        let first = part(self.field(n), self.separators.repetition, 0);
        unescape(part(first, self.separators.component, m.saturating_sub(1)).trim(), self.separators)
    }
}

/// Part `n` of a text, counted from 0; empty where there is none. Separators are ASCII, so bytes are looked at: a monitor's
/// message is mostly short fields, and a search for each costs more than its bytes.
fn part(text: &str, separator: char, n: usize) -> &str {
    let bytes = text.as_bytes();
    let ends = |from: usize| bytes.iter().skip(from).position(|byte| char::from(*byte) == separator).map(|at| from + at);
    let mut start = 0;
    for _ in 0..n {
        let Some(end) = ends(start) else { return "" };
        start = end + 1;
    }
    text.get(start..ends(start).unwrap_or(text.len())).unwrap_or_default()
}

/// Resolves escapes (`\F\ \S\ \T\ \R\ \E\`, `\Xhh\`); formatting escapes are left out.
#[must_use]
pub fn unescape(text: &str, separators: Separators) -> Cow<'_, str> {
    if !text.bytes().any(|byte| char::from(byte) == separators.escape) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(separators.escape) {
        plain.push_str(before);
        let Some((escape, next)) = after.split_once(separators.escape) else {
            // An escape that never ends is text.
            plain.push(separators.escape);
            rest = after;
            break;
        };
        match escape {
            "F" => plain.push(separators.field),
            "S" => plain.push(separators.component),
            "T" => plain.push(separators.subcomponent),
            "R" => plain.push(separators.repetition),
            "E" => plain.push(separators.escape),
            _ => plain.push_str(&hexadecimal(escape).unwrap_or_default()),
        }
        rest = next;
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn hexadecimal(escape: &str) -> Option<String> {
    let digits = escape.strip_prefix('X')?.as_bytes();
    let bytes = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect::<Option<Vec<u8>>>()?;
    Some(text_of(&bytes).into_owned())
}

/// The text of bytes in UTF-8 or, where they are not, in ISO 8859-1: the two character sets seen in MSH-18.
#[must_use]
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_header_count_from_the_separator() {
        let message = Message::parse("MSH|^~\\&|APP^1|FAC||\rPV1||E|X^^BED").expect("message");
        assert_eq!(message.header().field(2), "^~\\&");
        assert_eq!(message.header().component(3, 2), "1");
        assert_eq!(message.header().field(4), "FAC");
        assert_eq!((message.segments[1].component(3, 3), message.segments[1].field(99)), ("BED".into(), ""));
    }

    #[test]
    fn segments_end_with_cr_lf_or_both() {
        let want = ["MSH", "OBR", "OBX"];
        for end in ["\r", "\n", "\r\n"] {
            let text = ["MSH|^~\\&|A", "OBR|1", "OBX|1", ""].join(end);
            let message = Message::parse(&text).expect("message");
            assert_eq!(message.segments.iter().map(Segment::name).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn the_message_chooses_its_own_separators() {
        let message = Message::parse("MSH#*!%+#APP*1\rOBX#1##97*%S%*x!second").expect("message");
        let obx = message.segments[1];
        assert_eq!((obx.component(3, 1), obx.component(3, 2)), ("97".into(), "*".into()));
        assert_eq!(obx.repetitions(3).count(), 2);
    }

    #[test]
    fn separators_that_cannot_separate_are_refused() {
        for text in ["", "PID|1", "MSH", "MSHA^~\\&", "MSH|||", "MSH|^^\\&|", "MSH|^~\\1|", "MSH \rOBX"] {
            let refused = Message::parse(text);
            assert!(refused.is_err() || text == "MSH|||", "{text:?} {refused:?}");
        }
    }

    #[test]
    fn escapes_are_resolved_and_an_endless_one_is_text() {
        let separators = Message::parse("MSH|^~\\&|").expect("message").separators;
        for (sent, plain) in [
            ("a\\F\\b", "a|b"),
            ("\\E\\\\S\\\\T\\\\R\\", "\\^&~"),
            ("\\X4C4c\\", "LL"),
            ("\\.br\\x", "x"),
            ("50\\", "50\\"),
            ("\\XZZ\\", ""),
        ] {
            assert_eq!(unescape(sent, separators), plain, "{sent}");
        }
    }
}
