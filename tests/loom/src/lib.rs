//! The files of the I/O side that synchronise threads by hand, compiled unchanged over loom's types.
//!
//! `tests/` holds a model for each; `tools/loom_mutations.sh` shows that each re-check in the files is needed.

#[path = "../../../src/io"]
pub mod io {
    #[path = "../../tests/loom/src/sync.rs"]
    pub mod sync;

    pub mod conn {
        pub mod levels;
        pub mod loan;
        pub mod outcome;
        pub mod secured;
        pub mod segments;
        pub mod send_state;
        pub mod sender;
    }

    pub mod inbox {
        pub mod arena;
        pub mod flow_control;
        pub mod queue;
    }

    pub mod runtime {
        pub mod absence;
        pub mod flush_list;
        pub mod handover;
        pub mod late_flush;
        pub mod mailbox;
        pub mod scheduler;
        pub mod watch;
    }
}

/// Tries the interleavings of `model` with up to `preemptions` switches away from a thread that could go on.
///
/// Most bugs of this kind need two at most; more cost minutes and have found nothing.
pub fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(model);
}
