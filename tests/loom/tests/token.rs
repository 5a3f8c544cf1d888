//! Writers that stage and send against one another.

use asynctcp_loom::check;
use asynctcp_loom::io::conn::token::SendToken;
use asynctcp_loom::io::sync::Mutex;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

fn take(staged: &mut Vec<u8>) -> Option<Vec<u8>> {
    (!staged.is_empty()).then(|| std::mem::take(staged))
}

/// The sending half of a link: what is staged under a lock, and the wire, which only the token's holder touches.
struct Sender {
    staged: Mutex<Vec<u8>>,
    wire: UnsafeCell<Vec<u8>>,
    token: SendToken,
}

// SAFETY: `wire` is touched by the token's holder only; loom reports it if two threads do.
unsafe impl Sync for Sender {}

impl Sender {
    fn new(token: SendToken) -> Arc<Self> {
        Arc::new(Self {
            staged: Mutex::new(Vec::new()),
            wire: UnsafeCell::new(Vec::new()),
            token,
        })
    }

    /// Whoever finds the token taken leaves the bytes to its holder.
    fn write(&self, bytes: &[u8]) {
        self.staged.lock().extend_from_slice(bytes);
        if self.token.try_take() {
            self.send();
        }
    }

    /// The holder's loop, as in `Link::send_staged`.
    fn send(&self) {
        loop {
            let Some(taken) = self.token.next(&self.staged, take) else {
                return;
            };
            // SAFETY: this thread holds the token.
            self.wire
                .with_mut(|wire| unsafe { (*wire).extend_from_slice(&taken) });
        }
    }

    /// What was sent, in any order.
    fn sent(&self) -> Vec<u8> {
        assert!(self.staged.lock().is_empty(), "bytes are left behind");
        assert!(self.token.try_take(), "the token is lost");
        // SAFETY: this thread holds the token.
        let mut sent = self.wire.with(|wire| unsafe { (*wire).clone() });
        sent.sort_unstable();
        sent
    }
}

#[test]
fn nothing_staged_is_left_behind_while_the_token_is_free() {
    check(3, || {
        let sender = Sender::new(SendToken::default());
        let other = {
            let sender = sender.clone();
            thread::spawn(move || {
                sender.write(&[1]);
                sender.write(&[2]);
            })
        };
        sender.write(&[3]);
        other.join().unwrap();
        assert_eq!(sender.sent(), [1, 2, 3]);
    });
}

#[test]
fn three_writers_never_send_at_the_same_time() {
    check(2, || {
        let sender = Sender::new(SendToken::default());
        let others = [1, 2].map(|byte| {
            let sender = sender.clone();
            thread::spawn(move || sender.write(&[byte]))
        });
        sender.write(&[3]);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(sender.sent(), [1, 2, 3]);
    });
}

/// Without any other lock: what a holder did is seen by the next.
#[test]
fn the_token_hands_on_what_its_holder_did() {
    check(3, || {
        let sender = Sender::new(SendToken::default());
        let add = |sender: &Sender| {
            if sender.token.try_take() {
                // SAFETY: this thread holds the token.
                sender.wire.with_mut(|wire| unsafe { (*wire).push(1) });
                sender.token.next(&Mutex::new(()), |()| None::<()>);
            }
        };
        let other = {
            let sender = sender.clone();
            thread::spawn(move || add(&sender))
        };
        add(&sender);
        other.join().unwrap();
        assert!(matches!(sender.sent().len(), 1 | 2));
    });
}

/// A connection's maker holds its token until the task gives it back; what was written before goes out then.
#[test]
fn bytes_staged_before_the_maker_gives_the_token_back_are_sent() {
    check(3, || {
        let sender = Sender::new(SendToken::taken());
        let task = {
            let sender = sender.clone();
            thread::spawn(move || sender.send())
        };
        sender.write(&[1]);
        sender.write(&[2]);
        task.join().unwrap();
        assert_eq!(sender.sent(), [1, 2]);
    });
}
