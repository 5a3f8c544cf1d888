//! One step at a time: who may send, what comes back, when it is over.

use super::*;
use crate::io::conn::levels::Marks;
use crate::io::conn::segments::VECTORS;
use std::io::IoSlice;

/// Open, with so much staged.
fn open(bytes: &[u8]) -> State<()> {
    let mut state = State::new();
    state.wire = Some(Arc::new(()));
    stage(&mut state, bytes);
    state
}

fn stage(state: &mut State<()>, bytes: &[u8]) {
    state.staged.push(bytes).unwrap();
    state.owed = true;
}

fn full(state: &mut State<()>, rest: &mut Segments) -> Flush {
    full_of(state, 0, rest)
}

/// The kernel is full; `sealed` bytes wait.
fn full_of(state: &mut State<()>, sealed: usize, rest: &mut Segments) -> Flush {
    let mut flush = Flush::Nothing;
    let full = Offer {
        room: false,
        sealed,
    };
    let next = state.settle(Ok(full), rest, false, true, &mut flush);
    assert!(matches!(next, Next::Stop));
    flush
}

#[test]
fn what_comes_back_goes_ahead_of_what_was_staged_meanwhile() {
    let mut state = open(b"older");
    let mut taken = state.begin(By::Other).unwrap().segments;
    taken.advance(2);
    stage(&mut state, b"newer");
    assert_eq!(state.size(), 10);
    assert!(state.begin(By::Other).is_none(), "two send");
    assert_eq!(full(&mut state, &mut taken), Flush::Blocked);
    assert_eq!((taken.len(), state.size()), (0, 8));
    assert!(state.begin(By::Other).is_none(), "it is left to the task");
    let again = state.begin(By::Task).unwrap().segments;
    let mut slices = [IoSlice::new(&[]); VECTORS];
    assert_eq!(again.gather(&mut slices).1, 8);
    assert_eq!(
        (&slices[0][..], &slices[1][..]),
        (&b"der"[..], &b"newer"[..])
    );
}

/// What was taken is all with the kernel.
fn sent(state: &mut State<()>, last: bool, again: bool) -> (Next, Flush) {
    let mut flush = Flush::Nothing;
    let room = Offer {
        room: true,
        sealed: 0,
    };
    let mut rest = Segments::default();
    let next = state.settle(Ok(room), &mut rest, last, again, &mut flush);
    (next, flush)
}

/// A session whose FIN is asked for while somebody sends what was written before.
fn shut_down_in_flight() -> State<()> {
    let mut state = open(b"written");
    state.secure(Box::default(), false);
    assert!(!state.begin(By::List).unwrap().last);
    state.fin = Fin::Wanted;
    state
}

#[test]
fn session_says_that_it_ends_although_the_fin_was_asked_for_in_flight() {
    let mut state = shut_down_in_flight();
    assert_eq!(sent(&mut state, false, true).0, Next::Send);
    assert!(state.is_last(), "the round to come seals close_notify");
    let (next, flush) = sent(&mut state, true, true);
    assert_eq!((next, flush), (Next::Fin, Flush::Done));
}

#[test]
fn task_says_so_when_there_is_no_other_round() {
    let mut state = shut_down_in_flight();
    let (next, flush) = sent(&mut state, false, false);
    assert_eq!((next, flush), (Next::Stop, Flush::Blocked));
    assert!(state.begin(By::Task).unwrap().last);
}

#[test]
fn while_writing_is_off_the_end_of_a_session_waits() {
    let mut state = shut_down_in_flight();
    state.off = true;
    assert_eq!(sent(&mut state, false, true).0, Next::Stop);
    state.off = false;
    assert!(state.begin(By::Other).unwrap().last);
}

#[test]
fn fin_without_a_session_needs_no_other_round() {
    let mut state = open(b"written");
    state.begin(By::List).unwrap();
    state.fin = Fin::Wanted;
    assert_eq!(sent(&mut state, false, true).0, Next::Fin);
}

#[test]
fn while_writing_is_off_sealed_bytes_wait_too() {
    let mut state = open(b"written");
    state.secure(Box::default(), false);
    let mut rest = state.begin(By::Other).unwrap().segments;
    rest.advance(7);
    full_of(&mut state, 20, &mut rest);
    state.off = true;
    assert!(state.begin(By::Task).is_none(), "none of them is sent");
    state.off = false;
    assert!(state.begin(By::Other).is_some());
}

#[test]
fn sealed_bytes_count_once_the_kernel_took_them() {
    let mut state = open(b"written");
    state.secure(Box::default(), false);
    let mut rest = state.begin(By::Other).unwrap().segments;
    rest.advance(7);
    state.sent += 7;
    full_of(&mut state, 29, &mut rest);
    assert_eq!((state.count(), state.size()), (0, 29));
    let mut rest = state.begin(By::Task).unwrap().segments;
    full_of(&mut state, 3, &mut rest);
    assert_eq!((state.count(), state.size()), (4, 3));
}

#[test]
fn round_of_nothing_leaves_what_was_sent_in_part_as_it_is() {
    let mut state = open(b"older");
    let mut rest = state.begin(By::Other).unwrap().segments;
    rest.advance(2);
    full(&mut state, &mut rest);
    state.secure(Box::default(), false);
    state.secured.as_mut().unwrap().wants_write = true;
    state.owed = false;
    let mut nothing = state.begin(By::Task).unwrap().segments;
    assert!(nothing.is_empty());
    full_of(&mut state, 1, &mut nothing);
    let mut slices = [IoSlice::new(&[]); VECTORS];
    assert_eq!(state.staged.gather(&mut slices).1, 3);
    assert_eq!(&slices[0][..], b"der");
}

#[test]
fn session_of_one_that_was_closed_before_says_that_it_ends() {
    let mut state = open(b"written");
    state.done = APP;
    state.secure(Box::default(), false);
    assert!(state.begin(By::Other).unwrap().last);
}

#[test]
fn nothing_comes_back_to_a_dead_one() {
    let mut state = open(b"older");
    let mut taken = state.begin(By::Other).unwrap().segments;
    drop(state.drop_staged());
    full(&mut state, &mut taken);
    assert_eq!((taken.len(), state.size()), (5, 0), "freed after the lock");
}

#[test]
fn while_somebody_sends_no_mark_is_crossed() {
    let mut state = open(&[0; 100]);
    state.levels = Some(Box::new(Levels::new(Marks { high: 10, low: 4 })));
    let mut taken = state.begin(By::Other).unwrap().segments;
    assert!(!state.crossed());
    full(&mut state, &mut taken);
    assert!(state.crossed() && !state.crossed());
}

#[test]
fn while_writing_is_off_nothing_is_sent() {
    let mut state = open(b"later");
    state.off = true;
    assert!(state.begin(By::List).is_none());
    state.off = false;
    assert!(state.begin(By::List).is_some());
}
