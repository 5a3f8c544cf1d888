//! The files of the I/O side that synchronise threads by hand, compiled unchanged over loom's types.
//!
//! `tests/` holds a model for each; `tools/loom_mutations.sh` shows that each re-check in the files is needed.

pub mod sync;

#[path = "../../../src/io/arena.rs"]
pub mod arena;
#[path = "../../../src/io/credit.rs"]
pub mod credit;
#[path = "../../../src/io/crew.rs"]
pub mod crew;
#[path = "../../../src/io/handover.rs"]
pub mod handover;
#[path = "../../../src/io/mark.rs"]
pub mod mark;
#[path = "../../../src/io/queue.rs"]
pub mod queue;
#[path = "../../../src/io/token.rs"]
pub mod token;

/// Tries the interleavings of `model` with up to `preemptions` switches away from a thread that could go on.
///
/// Most bugs of this kind need two at most; more cost minutes and have found nothing.
pub fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(model);
}
