//! How a connection ends: what was written goes out, then a FIN, and the descriptor is closed when the peer has all.
//!
//! Closing a descriptor with unread input resets the connection and destroys what is on its way (RFC 9293, 3.10.4),
//! so input is read and dropped until the peer acknowledged everything or sent its own FIN. Without progress for the
//! write timeout (else [`PATIENCE`]) the connection is reset.

use crate::io::conn::link::Link;
use crate::io::conn::wire::Wire;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How long a closing connection may stand still.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The kernel tells nobody when the last byte is acknowledged: look again after this, then ever more rarely.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// While the peer acknowledges more and more, and when it has long been silent.
const RARE_LOOK: Duration = Duration::from_millis(50);
const RAREST_LOOK: Duration = Duration::from_secs(1);
/// Reads that are dropped in one go.
const DROPS: usize = 16;

/// Boxed in the task of a connection that is closing.
pub(crate) struct Linger {
    patience: Duration,
    finished: bool,
    /// Bytes that the peer acknowledged, and when that last grew.
    acknowledged: u64,
    grew: Instant,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Linger {
    pub(crate) fn new(write_timeout: Option<Duration>) -> Self {
        Self {
            patience: write_timeout.unwrap_or(PATIENCE),
            finished: false,
            acknowledged: 0,
            grew: Instant::now(),
            pause: FIRST_LOOK,
            timer: Box::pin(sleep(FIRST_LOOK)),
        }
    }

    /// Ready when the descriptor can be closed. `all_sent`: nothing waits to be sent.
    pub(crate) fn poll(
        &mut self,
        wire: &Wire,
        link: &Link,
        all_sent: bool,
        eof: bool,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if all_sent && !self.finished {
            self.finished = true;
            wire.finish();
        }
        let ended = eof || drop_input(wire, context);
        let waiting = wire.unacknowledged().unwrap_or(0);
        if all_sent && (ended || waiting == 0) {
            return Poll::Ready(());
        }
        self.poll_patience(wire, link, context)
    }

    /// Ready when the peer has acknowledged nothing for too long, while something else is waited for.
    pub(crate) fn poll_patience(
        &mut self,
        wire: &Wire,
        link: &Link,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let waiting = wire.unacknowledged().unwrap_or(0);
        if self.stands_still(link.acknowledged_on(wire, waiting)) {
            wire.reset();
            return Poll::Ready(());
        }
        self.look_again(context);
        Poll::Pending
    }

    fn stands_still(&mut self, acknowledged: u64) -> bool {
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            self.grew = Instant::now();
            self.pause = self.pause.min(RARE_LOOK);
        }
        self.grew.elapsed() >= self.patience
    }

    fn look_again(&mut self, context: &mut Context<'_>) {
        while self.timer.as_mut().poll(context).is_ready() {
            let rest = self.patience.saturating_sub(self.grew.elapsed());
            self.pause = next_pause(self.pause, rest);
            self.timer.as_mut().reset(Instant::now() + self.pause);
        }
    }
}

/// The pause after `last`, in a connection that is given up after `rest`: each look is a system call, and there may be
/// thousands of dead peers.
fn next_pause(last: Duration, rest: Duration) -> Duration {
    (last * 2).min(RAREST_LOOK).min(rest.max(FIRST_LOOK))
}

/// Reads and drops what came; true: nothing more will come.
fn drop_input(wire: &Wire, context: &mut Context<'_>) -> bool {
    let mut waste = [0; 4096];
    for _ in 0..DROPS {
        let known = wire.poll_read_ready(context).is_ready();
        let received = if known {
            wire.receive(&mut waste)
        } else if wire.ends_only() {
            // Tokio may not have looked, and what is left unread would be a reset to the peer.
            wire.receive_unasked(&mut waste)
        } else {
            return false;
        };
        match received {
            Ok(Some(0)) | Err(_) => return true,
            Ok(None) if !known => return false,
            Ok(Some(_) | None) => {}
        }
    }
    context.waker().wake_by_ref();
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_peer_is_looked_at_a_few_dozen_times_and_given_up_in_time() {
        let (mut looks, mut pause, mut passed) = (0, FIRST_LOOK, Duration::ZERO);
        while passed < PATIENCE {
            pause = next_pause(pause, PATIENCE - passed);
            passed += pause;
            looks += 1;
        }
        assert!(looks < 50, "{looks} looks");
        assert!(passed < PATIENCE + FIRST_LOOK, "given up after {passed:?}");
    }
}
