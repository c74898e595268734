//! What an author said it gave up before its entries were heard of here: another of its runs, or a copy, may say so first.

use super::{Known, damaged};
use crate::store::{StoreError, Transaction};
use record::ledger::ChainId;
use record::ledger::body::Span;

/// Spans remembered for one chain; what is said beyond is learned by asking.
const SPANS: usize = 256;

/// From one entry to before another.
type Spans = Vec<(u64, u64)>;

fn name(chain: ChainId) -> String {
    format!("shed.{}.{}.{}", chain.scope, chain.author, chain.run)
}

/// The spans of a chain that were given up before they were heard of.
pub(super) fn spans(tx: &mut dyn Transaction, chain: ChainId) -> Result<Spans, StoreError> {
    let bytes = tx.value(&name(chain))?;
    bytes.map_or(Ok(Spans::new()), |bytes| postcard::from_bytes(&bytes).map_err(|e| damaged("values.shed", &e)))
}

/// Keeps a span that goes beyond what is known of its chain.
pub(super) fn remember(tx: &mut dyn Transaction, known: &Known, span: Span) -> Result<(), StoreError> {
    if known.heads.get(&span.chain).is_some_and(|head| head.next >= span.to) {
        return Ok(());
    }
    let mut all = spans(tx, span.chain)?;
    if all.len() < SPANS && !all.contains(&(span.from, span.to)) {
        all.push((span.from, span.to));
        tx.put_value(&name(span.chain), &postcard::to_stdvec(&all).map_err(|e| damaged("values.shed", &e))?)?;
    }
    Ok(())
}
