//! Automerge changes that may come from anybody: bounded before they are read, contained while they are applied.
//!
//! Automerge keeps numbers as runs ("this one, a million times") and may deflate a whole change, so that few bytes can
//! stand for more operations than fit in memory. Replicas write changes undeflated, and each operation carries its value,
//! so an honest change never says more operations than it has bytes. On some changes automerge panics, mostly when it
//! applies what it has read without complaint: to a document that is a refusal like any other.

use super::DocumentError;
use automerge::{AutoCommit, Change};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The byte that says what a chunk is, and what it says of a change that is not deflated.
const CHUNK_TYPE: usize = 8;
const PLAIN_CHANGE: u8 = 1;
const HASH_LENGTH: u64 = 32;
/// Columns by id and type: what each operation does, and how many earlier ones it replaces.
const ACTION: u64 = 4 << 4 | 2;
const REPLACED: u64 = 7 << 4;

/// Reads a change; whether it does depends on its bytes alone.
pub(super) fn read(bytes: &[u8]) -> Result<Change, DocumentError> {
    let limit = bytes.len() as u64;
    if bytes.get(CHUNK_TYPE) != Some(&PLAIN_CHANGE) || operations(bytes).is_none_or(|count| count > limit) {
        return Err(DocumentError::Change);
    }
    contained(|| Change::try_from(bytes).ok()).ok_or(DocumentError::Change)
}

/// The document with all of `changes`, or with those of them that automerge takes: a second change of one number by one
/// author, say, must not hide the document. What is left out depends on the set of changes alone.
pub(super) fn apply(mut doc: AutoCommit, mut changes: Vec<Change>) -> AutoCommit {
    if let Some(all) = applied(&doc, changes.iter().cloned()) {
        return all;
    }
    while let Some(next) = changes.iter().position(|c| c.deps().iter().all(|dep| doc.get_change_by_hash(dep).is_some())) {
        if let Some(one) = applied(&doc, [changes.remove(next)]) {
            doc = one;
        }
    }
    doc
}

/// On a copy: automerge may have taken in a part of what it refuses.
fn applied(doc: &AutoCommit, changes: impl IntoIterator<Item = Change> + Clone) -> Option<AutoCommit> {
    contained(|| {
        let mut doc = doc.clone();
        doc.apply_changes(changes).is_ok().then_some(doc)
    })
}

/// Nothing that `work` has touched may be used again after a panic: it must make what it changes.
fn contained<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_default()
}

/// How many operations, and operations replaced, a change says it has; `None` if that cannot be made out.
fn operations(bytes: &[u8]) -> Option<u64> {
    let mut rest = Bytes(bytes.get(CHUNK_TYPE + 1..)?);
    rest.number()?; // length of what follows
    let dependencies = rest.number()?;
    rest.take(dependencies.checked_mul(HASH_LENGTH)?)?;
    rest.block()?; // actor
    for _ in ["sequence", "first operation", "time"] {
        rest.number()?;
    }
    rest.block()?; // message
    for _ in 0..rest.number()? {
        rest.block()?; // other actor
    }
    let mut columns = Vec::new();
    for _ in 0..rest.number()? {
        columns.push((rest.number()?, rest.number()?));
    }
    let mut total: u64 = 0;
    for (column, length) in columns {
        let data = Bytes(rest.take(length)?);
        total = match column {
            ACTION => total.checked_add(data.runs(|_| 1)?)?,
            REPLACED => total.checked_add(data.runs(|value| value)?)?,
            _ => total,
        };
    }
    Some(total)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn block(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }

    /// A LEB128 number of at most 64 bits, as its bits stand.
    fn number(&mut self) -> Option<u64> {
        self.leb128().map(|(bits, _)| bits)
    }

    /// The same, with its sign.
    fn signed(&mut self) -> Option<i64> {
        let (bits, unused) = self.leb128()?;
        Some(bits.cast_signed() << unused >> unused)
    }

    /// The bits, and how many of the 64 it did not write.
    fn leb128(&mut self) -> Option<(u64, u32)> {
        let (mut bits, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            bits |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some((bits, 64_u32.saturating_sub(shift)));
            }
        }
    }

    /// Sums what `weigh` makes of each value of a run-length column: a count and the value repeated, a negative count and
    /// that many values, or zero and a count of absent ones.
    fn runs(mut self, weigh: impl Fn(u64) -> u64) -> Option<u64> {
        let mut total: u64 = 0;
        while !self.0.is_empty() {
            let run = match self.signed()? {
                0 => self.number()?,
                count if count > 0 => weigh(self.number()?).checked_mul(count.unsigned_abs())?,
                count => {
                    let mut sum: u64 = 0;
                    for _ in 0..count.unsigned_abs() {
                        sum = sum.checked_add(weigh(self.number()?))?;
                    }
                    sum
                }
            };
            total = total.checked_add(run)?;
        }
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT};

    /// A change by automerge that sets elements; if `again`, the one that sets them a second time.
    fn change(elements: usize, text: &str, again: bool) -> Change {
        let mut doc = AutoCommit::new();
        for round in 0..=usize::from(again) {
            for element in 0..elements {
                doc.put(ROOT, format!("element{element}"), format!("{text}{round}")).expect("put");
            }
            doc.commit();
        }
        doc.get_last_local_change().expect("change")
    }

    /// A plain change whose one column of actions is `actions`.
    fn forged(actions: &[u8]) -> Vec<u8> {
        // No dependencies, actor 07, sequence 1, first operation 1, time 0, no message, no other actors.
        let mut body = vec![0, 1, 7, 1, 1, 0, 0, 0];
        // Keys "a", actions, values without bytes; as many keys and values as anybody asks for.
        let keys = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], b"\x01a"].concat();
        let values = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        let insert = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let replaced = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        let columns: [(u8, &[u8]); 5] = [(0x15, &keys), (0x34, &insert), (0x42, actions), (0x56, &values), (0x70, &replaced)];
        body.push(5);
        for (column, data) in columns {
            body.extend([column, u8::try_from(data.len()).expect("short")]);
        }
        // The column number of `REPLACED` needs no second byte: 0x70 is below 0x80.
        body.extend(columns.iter().flat_map(|(_, data)| data.iter().copied()));
        let mut bytes = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, PLAIN_CHANGE, u8::try_from(body.len()).expect("short")];
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_large_change_is_written_undeflated_and_read_back() {
        let change = change(1, &"x".repeat(100_000), false);
        assert!(change.raw_bytes().len() > 100_000);
        assert_eq!(read(change.raw_bytes()).expect("read").hash(), change.hash());
    }

    #[test]
    fn operations_are_counted_with_those_they_replace() {
        assert_eq!(operations(change(3, "x", false).raw_bytes()), Some(3));
        assert_eq!(operations(change(3, "x", true).raw_bytes()), Some(6));
        assert_eq!(operations(change(5_000, "x", true).raw_bytes()), Some(10_000));
    }

    #[test]
    fn a_deflated_change_is_refused_however_well_it_would_inflate() {
        let mut change = change(1, &"x".repeat(100_000), false);
        let deflated = change.bytes().into_owned();
        assert_eq!((deflated.len() < 1_000, deflated[CHUNK_TYPE]), (true, 2));
        Change::try_from(&deflated[..]).expect("automerge itself would take it");
        assert_eq!(read(&deflated).err(), Some(DocumentError::Change));
    }

    #[test]
    fn a_run_of_more_operations_than_bytes_is_refused_before_it_is_unrolled() {
        assert_eq!(read(&forged(&[2, 1])).expect("two operations").len(), 2);
        assert_eq!(read(&forged(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1])).err(), Some(DocumentError::Change));
    }

    #[test]
    fn every_beginning_of_a_change_is_refused() {
        let change = change(2, "x", true);
        for end in 0..change.raw_bytes().len() {
            assert_eq!(read(&change.raw_bytes()[..end]).err(), Some(DocumentError::Change), "{end} bytes");
        }
    }
}
