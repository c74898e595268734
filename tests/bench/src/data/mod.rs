//! What is measured with: generated from seeds, and the shared real recordings where they are.

pub mod numerics;
pub mod ticks;
pub mod visits;
pub mod waveforms;
