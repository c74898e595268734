//! How likely two Patient resources are about one person. Pure arithmetic over names, birth dates and identifiers; what
//! to do about it is `duplicates`' matter.
//!
//! An identifier of one system in common is certainty. Without one the score is made of the names (their parts in any
//! order, accents and usual spellings of one sound aside) and the birth date (whole, partial, day and month swapped, a
//! digit wrong), less what speaks against it. The weights are a design choice, held by the tests below.

use super::matching::fold;
use crate::ledger::entry::sha256;
use serde_json::Value;
use std::collections::BTreeSet;

/// R4 `match-grade`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Grade {
    /// They share nothing that tells a person.
    CertainlyNot,
    /// Worth a look.
    Possible,
    /// Ask before making a second one.
    Probable,
    /// They share an identifier.
    Certain,
}

impl Grade {
    /// The code of value set `match-grade`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CertainlyNot => "certainly-not",
            Self::Possible => "possible",
            Self::Probable => "probable",
            Self::Certain => "certain",
        }
    }
}

/// How alike two patients are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Likeness {
    /// What that means.
    pub grade: Grade,
    /// 0 to 1,000.
    pub per_mille: u16,
}

const PROBABLE: i32 = 850;
const POSSIBLE: i32 = 600;
/// What a name and a birth date weigh; a name alone can be possible and no more.
const NAME_WEIGHT: i32 = 550;
const BIRTH_WEIGHT: i32 = 450;
const NAME_ALONE_WEIGHT: i32 = 700;
/// Another identifier of the same system, another gender.
const OTHER_IDENTIFIER: i32 = 200;
const OTHER_GENDER: i32 = 150;
/// Parts of a name looked at, so that a hostile name costs little.
const PARTS_MAX: usize = 12;
const PART_CHARS_MAX: usize = 40;

/// Compares two Patient resources.
#[must_use]
pub fn likeness(one: &Value, other: &Value) -> Likeness {
    let (ours, theirs) = (identifiers(one), identifiers(other));
    if ours.intersection(&theirs).next().is_some() {
        return Likeness { grade: Grade::Certain, per_mille: 1000 };
    }
    let name = names(one, other);
    let birth = births(one, other);
    let mut score = match (name, birth) {
        (Some(name), Some(birth)) => (name * NAME_WEIGHT + birth * BIRTH_WEIGHT) / 1000,
        (Some(name), None) => name * NAME_ALONE_WEIGHT / 1000,
        // A birth date tells nobody from the others born that day.
        (None, _) => 0,
    };
    let same_system = |(system, _): &&(String, String)| theirs.iter().any(|(theirs, _)| theirs == system);
    if ours.iter().any(|identifier| same_system(&identifier)) {
        score -= OTHER_IDENTIFIER;
    }
    let gender =
        |patient: &Value| patient.get("gender").and_then(Value::as_str).filter(|g| matches!(*g, "male" | "female")).map(str::to_owned);
    if gender(one).zip(gender(other)).is_some_and(|(one, other)| one != other) {
        score -= OTHER_GENDER;
    }
    let grade = match score {
        PROBABLE.. => Grade::Probable,
        POSSIBLE.. => Grade::Possible,
        _ => Grade::CertainlyNot,
    };
    Likeness { grade, per_mille: u16::try_from(score.clamp(0, 999)).unwrap_or(0) }
}

/// Most keys one patient is found by.
const KEYS_MAX: usize = 64;
/// Most keys asked for at once.
const ASKED_MAX: usize = 500;

/// What a patient is found by when somebody like them is looked for: keep these with the resource, and ask with [`asked`].
#[must_use]
pub fn keys(patient: &Value) -> Vec<i64> {
    let mut all: Vec<i64> = identifiers(patient).iter().map(|(system, value)| key('i', &[system, value])).collect();
    match birth_date(patient) {
        Some(date) => {
            all.push(key('d', &[&date]));
            all.extend(beginnings(&date).map(|part| key('p', &[part])));
            all.extend(skeletons(patient).iter().map(|word| key('w', &[word])));
        }
        None => all.extend(skeletons(patient).iter().map(|word| key('n', &[word]))),
    }
    bounded(all)
}

/// The keys by which whoever is like `patient` at least as `least` has it is found. Of likenesses that are [`Grade::Possible`]
/// only, those without a birth date in common are found if they share a word of the name, vowels aside.
#[must_use]
pub fn asked(patient: &Value, least: Grade) -> Vec<i64> {
    let mut all: Vec<i64> = identifiers(patient).iter().map(|(system, value)| key('i', &[system, value])).collect();
    if least < Grade::Certain
        && let Some(date) = birth_date(patient)
    {
        all.push(key('d', &[&date]));
        all.push(key('p', &[&date]));
        all.extend(beginnings(&date).map(|part| key('d', &[part])));
        if let [year, month, day] = date.split('-').collect::<Vec<_>>().as_slice() {
            all.push(key('d', &[&format!("{year}-{day}-{month}")]));
        }
        if least < Grade::Probable {
            all.extend(one_digit_wrong(&date).map(|date| key('d', &[&date])));
        }
    }
    if least < Grade::Probable {
        let kinds = if birth_date(patient).is_some() { "n" } else { "nw" };
        all.extend(skeletons(patient).iter().flat_map(|word| kinds.chars().map(move |kind| key(kind, &[word]))));
    }
    all.sort_unstable();
    all.dedup();
    all.truncate(ASKED_MAX);
    all
}

fn bounded(mut all: Vec<i64>) -> Vec<i64> {
    all.truncate(KEYS_MAX);
    all.sort_unstable();
    all.dedup();
    all
}

/// Two that share one by chance are told apart when they are compared.
fn key(kind: char, parts: &[&str]) -> i64 {
    let mut text = kind.to_string();
    for part in parts {
        text.push('\0');
        text.push_str(part);
    }
    let hash = sha256(&[text.as_bytes()]).0;
    hash.iter().take(8).fold(0, |key, byte| key << 8 | i64::from(*byte))
}

/// `1980` and `1980-02` of `1980-02-03`.
fn beginnings(date: &str) -> impl Iterator<Item = &str> {
    date.match_indices('-').filter_map(|(at, _)| date.get(..at))
}

fn one_digit_wrong(date: &str) -> impl Iterator<Item = String> {
    let digits = date.char_indices().filter(|(_, c)| c.is_ascii_digit());
    digits.flat_map(move |(at, held)| {
        ('0'..='9').filter(move |c| *c != held).map(move |c| date.char_indices().map(|(i, old)| if i == at { c } else { old }).collect())
    })
}

/// The words of all names without their vowels; those of nothing else whole.
fn skeletons(patient: &Value) -> BTreeSet<String> {
    let heard = |word: String| {
        let bare: String = word.chars().filter(|c| !"aeiou".contains(*c)).collect();
        if bare.is_empty() { word } else { bare }
    };
    parts(patient).into_iter().flatten().filter(|word| word.chars().nth(1).is_some()).map(heard).collect()
}

/// Identifiers with a system, as written but for spaces, hyphens and case.
fn identifiers(patient: &Value) -> BTreeSet<(String, String)> {
    let list = patient.get("identifier").and_then(Value::as_array).into_iter().flatten();
    let text = |identifier: &Value, key: &str| identifier.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let plain = |value: String| value.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect::<String>();
    let of = |identifier: &Value| (text(identifier, "system"), plain(text(identifier, "value")));
    list.filter(|identifier| identifier.get("use").is_none_or(|u| u != "old"))
        .map(of)
        .filter(|(system, value)| !system.is_empty() && !value.is_empty())
        .collect()
}

/// The best of all pairs of names, per mille; `None` if one has none.
fn names(one: &Value, other: &Value) -> Option<i32> {
    let (ours, theirs) = (parts(one), parts(other));
    ours.iter().flat_map(|ours| theirs.iter().map(move |theirs| alike(ours, theirs))).max()
}

/// Each name as the folded words of its family, given and text.
fn parts(patient: &Value) -> Vec<Vec<String>> {
    let names = patient.get("name").and_then(Value::as_array).into_iter().flatten().take(PARTS_MAX);
    let words = |name: &Value| {
        let given = name.get("given").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let family = name.get("family").and_then(Value::as_str);
        let mut all: Vec<&str> = given.chain(family).collect();
        if all.is_empty() {
            all.extend(name.get("text").and_then(Value::as_str));
        }
        let split = all.into_iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '\''));
        split
            .filter(|word| !word.is_empty())
            .take(PARTS_MAX)
            .map(|word| sound(&word.chars().take(PART_CHARS_MAX).collect::<String>()))
            .collect::<Vec<_>>()
    };
    names.map(words).filter(|words| !words.is_empty()).collect()
}

/// A word folded, with spellings of one sound made one and doubled letters single.
fn sound(word: &str) -> String {
    let mut text: String = fold(word).chars().filter(|c| c.is_alphanumeric()).collect();
    for (written, heard) in [
        ("ph", "f"),
        ("ck", "k"),
        ("sch", "sh"),
        ("tch", "ch"),
        ("kh", "k"),
        ("gh", "g"),
        ("th", "t"),
        ("dh", "d"),
        ("ou", "u"),
        ("oo", "u"),
        ("ee", "i"),
        ("ie", "i"),
        ("ei", "i"),
        ("y", "i"),
        ("j", "i"),
        ("w", "v"),
        ("z", "s"),
        ("q", "k"),
        ("x", "ks"),
    ] {
        text = text.replace(written, heard);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !out.ends_with(c) {
            out.push(c);
        }
    }
    let bare = out.trim_end_matches('h');
    if bare.is_empty() { out } else { bare.to_owned() }
}

/// How alike two names are, per mille: each word of the shorter against the best left of the longer.
fn alike(one: &[String], other: &[String]) -> i32 {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let mut left: Vec<&String> = long.iter().collect();
    let mut sum = 0;
    for word in short {
        let best = left
            .iter()
            .enumerate()
            .map(|(at, other)| (likeness_of_words(word, other), at))
            .max_by_key(|(score, at)| (*score, std::cmp::Reverse(*at)));
        if let Some((score, at)) = best {
            sum += score;
            left.remove(at);
        }
    }
    let count = i32::try_from(short.len()).unwrap_or(1).max(1);
    // One word in common is less than a name; words the other does not have speak a little against it.
    let unmatched = i32::try_from(left.len().min(4)).unwrap_or(0);
    let whole = if count == 1 && unmatched > 0 { 800 } else { 1000 - 25 * unmatched };
    sum / count * whole / 1000
}

/// 1,000 less the share of letters to change, a letter swapped with its neighbour counting once; nothing below three in four.
fn likeness_of_words(one: &str, other: &str) -> i32 {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let longest = a.len().max(b.len()).max(1);
    // An initial stands for any name it begins.
    if a.len().min(b.len()) == 1 && a.first() == b.first() && longest > 1 {
        return 850;
    }
    let share = 1000 - i32::try_from(changes(&a, &b) * 1000 / longest).unwrap_or(1000);
    let heard = |word: &[char]| word.iter().filter(|c| !"aeiou".contains(**c)).copied().collect::<Vec<_>>();
    match share {
        750.. => share,
        // Vowels are heard differently before consonants are.
        600.. if heard(&a) == heard(&b) => 850,
        600.. => share / 2,
        _ => 0,
    }
}

/// Optimal string alignment distance.
fn changes(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

fn birth_date(patient: &Value) -> Option<String> {
    patient.get("birthDate").and_then(Value::as_str).map(|text| text.chars().take(10).collect())
}

/// How well two birth dates agree, per mille; `None` if one is not known.
fn births(one: &Value, other: &Value) -> Option<i32> {
    let (one, other) = (birth_date(one)?, birth_date(other)?);
    let (a, b): (Vec<&str>, Vec<&str>) = (one.split('-').collect(), other.split('-').collect());
    Some(match (a.as_slice(), b.as_slice()) {
        _ if one == other && a.len() == 3 => 1000,
        _ if one.starts_with(&other) || other.starts_with(&one) => 700,
        ([year, month, day], [other_year, other_month, other_day]) => {
            let wrong = one.chars().zip(other.chars()).filter(|(x, y)| x != y).count();
            if year == other_year && month == other_day && day == other_month {
                800
            } else if wrong == 1 {
                650
            } else {
                0
            }
        }
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn person(name: &str, birth: &str) -> Value {
        let (given, family) = name.rsplit_once(' ').unwrap_or(("", name));
        let mut patient = json!({"name": [{"family": family}]});
        if !given.is_empty() {
            patient["name"][0]["given"] = given.split(' ').collect::<Vec<_>>().into();
        }
        if !birth.is_empty() {
            patient["birthDate"] = birth.into();
        }
        patient
    }

    fn grade(one: (&str, &str), other: (&str, &str)) -> Grade {
        let (a, b) = (person(one.0, one.1), person(other.0, other.1));
        assert_eq!(likeness(&a, &b), likeness(&b, &a), "it does not matter which is asked about");
        likeness(&a, &b).grade
    }

    #[test]
    fn one_person_written_differently_is_probable() {
        for (one, other) in [
            (("Ana Lima", "1980-02-03"), ("Ana Lima", "1980-02-03")),
            (("María José Nuñez", "1980-02-03"), ("Nunez Maria Jose", "1980-02-03")),
            (("Jon Smith", "1980-02-03"), ("John Smith", "1980-02-03")),
            (("Philipp Schmidt", "1980-02-03"), ("Filip Schmitt", "1980-02-03")),
            (("Mohammed Otieno", "1980-02-03"), ("Muhammad Otieno", "1980-02-03")),
            (("Ana Lima", "1980-02-03"), ("Ana Lima", "1980-03-02")),
            (("Ana Lima", "1980-02-03"), ("Ana Lima", "1980")),
            (("Ana R Lima", "1980-02-03"), ("Ana Rosa Lima", "1980-02-03")),
        ] {
            assert_eq!(grade(one, other), Grade::Probable, "{one:?} {other:?}");
        }
    }

    #[test]
    fn whoever_is_alike_shares_a_key_that_is_asked_for() {
        let names = ["Ana Lima", "Lima Ana", "Jon Smith", "John Smith", "Philipp Schmidt", "Filip Schmitt", "Ana R Lima", "Ana"];
        let births = ["", "1980", "1980-02", "1980-02-03", "1980-03-02", "1980-02-13", "1955-11-21"];
        let people: Vec<Value> = names.iter().flat_map(|name| births.iter().map(|birth| person(name, birth))).collect();
        for one in &people {
            for other in &people {
                let grade = likeness(one, other).grade;
                let found = |least: Grade| asked(one, least).iter().any(|key| keys(other).contains(key));
                assert!(grade < Grade::Possible || found(grade), "{grade:?}: {one} {other}");
                assert!(grade < Grade::Probable || found(Grade::Probable), "{one} {other}");
            }
        }
        assert!(!asked(&people[3], Grade::Probable).iter().any(|key| keys(&person("Ana Lima", "1955-11-21")).contains(key)));
    }

    #[test]
    fn a_hostile_patient_has_few_keys() {
        let names: Vec<Value> =
            (0..500).map(|n| json!({"family": format!("family{n}"), "given": ["a b c d e f g h i j k l m n"]})).collect();
        let identifiers: Vec<Value> = (0..500).map(|n| json!({"system": "urn:x", "value": n.to_string()})).collect();
        let patient = json!({"name": names, "identifier": identifiers, "birthDate": "-".repeat(4000)});
        assert!(keys(&patient).len() <= KEYS_MAX);
        assert!(asked(&patient, Grade::Possible).len() < 1000);
    }

    #[test]
    fn people_who_share_a_name_or_a_birthday_are_not_taken_for_one() {
        assert_eq!(grade(("Ana Lima", ""), ("Ana Lima", "")), Grade::Possible);
        assert_eq!(grade(("Ana Lima", "1980-02-03"), ("Berta Kamau", "1980-02-03")), Grade::CertainlyNot);
        assert_eq!(grade(("Ana Lima", "1980-02-03"), ("Ana Lima", "1955-11-21")), Grade::CertainlyNot);
        assert_eq!(grade(("", ""), ("", "")), Grade::CertainlyNot);
        let (mut twin, mut other) = (person("Ana Lima", "1980-02-03"), person("Ana Lima", "1980-02-03"));
        (twin["identifier"], other["identifier"]) =
            (json!([{"system": "urn:mrn", "value": "1"}]), json!([{"system": "urn:mrn", "value": "2"}]));
        assert_eq!(likeness(&twin, &other).grade, Grade::Possible);
    }

    #[test]
    fn an_identifier_of_one_system_in_common_is_certain_whatever_else_differs() {
        let with = |name: &str, system: &str, value: &str| {
            let mut patient = person(name, "1980-02-03");
            patient["identifier"] = json!([{"system": system, "value": value}]);
            patient
        };
        let grade = |system: &str, value: &str| likeness(&with("Ana Lima", "urn:mrn", "17-4A"), &with("Chidi Okoro", system, value)).grade;
        assert_eq!(grade("urn:mrn", "17 4a"), Grade::Certain);
        assert_ne!(grade("urn:other", "17-4A"), Grade::Certain);
        let bare = json!({"identifier": [{"value": "17"}]});
        assert_eq!(likeness(&bare, &bare).grade, Grade::CertainlyNot);
    }
}
