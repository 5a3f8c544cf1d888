//! Happy Eyeballs (RFC 8305): the addresses of one host tried beside each other, and what became of each.

use crate::io::failure::{ConnectFailure, Failure, Try, describe};
use crate::io::setup::dial::{Connected, Dial, Setup};
use crate::io::setup::options::SocketOptions;
use crate::io::sys::address::Address;
use crate::io::sys::platform::c;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// RFC 8305, section 5: the time that one attempt has before the next address is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

const NOT_IN_TIME: &str = "connection timeout: not established in time";

/// All attempts at one host. Dropping it cancels those that go on.
#[derive(Debug)]
pub struct Race {
    setup: Setup,
    tries: Vec<(SocketAddr, State)>,
    untried: std::vec::IntoIter<SocketAddr>,
    unix: Option<(Address, Option<io::Error>)>,
}

#[derive(Debug)]
enum State {
    Going(Dial),
    Failed(io::Error),
    Won,
}

/// What has changed.
enum Settled {
    Won(Connected),
    OneFailed,
}

impl Race {
    /// `setup`: for all attempts.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            tries: Vec::new(),
            untried: Vec::new().into_iter(),
            unix: None,
        }
    }

    /// The attempt at a Unix socket is none of these, but what is told of it is told here; the options of all attempts.
    pub(crate) fn leave_to_unix(&mut self, address: Address) -> SocketOptions {
        self.unix = Some((address, None));
        self.setup.options.clone()
    }

    /// That one has failed.
    pub(crate) fn unix_failed(&mut self, error: io::Error) {
        if let Some((_, why)) = &mut self.unix {
            *why = Some(error);
        }
    }

    /// The first attempt that succeeds; None if all have failed. What it did so far stays known if it is dropped.
    pub async fn run(&mut self, addresses: Vec<SocketAddr>) -> Option<Connected> {
        self.untried = interleave(addresses).into_iter();
        // One socket of the app's can try one address at a time.
        let beside = self.setup.given.is_none();
        let mut next = Instant::now();
        loop {
            while !self.is_going() || (beside && next <= Instant::now()) {
                match self.untried.next() {
                    Some(address) if self.begin(address) => next = Instant::now() + STAGGER,
                    Some(_) => {}
                    None if self.is_going() => break,
                    None => return None,
                }
            }
            let more = beside && self.untried.len() > 0;
            tokio::select! {
                biased;
                settled = poll_fn(|context| self.poll_settled(context)) => match settled {
                    Settled::Won(connected) => return Some(connected),
                    Settled::OneFailed => next = Instant::now(),
                },
                () = sleep_until(next), if more => {}
            }
        }
    }

    /// The time for all of them is over. The clock went on while the process was stopped or held up, and so did the kernel:
    /// what it has decided counts.
    pub fn late(mut self) -> Result<Connected, Failure> {
        for at in 0..self.tries.len() {
            let State::Going(dial) = &self.tries[at].1 else {
                continue;
            };
            if let Some(decided) = dial.ask_kernel()
                && let Some(connected) = self.settle(at, decided)
            {
                return Ok(connected);
            }
        }
        let over = !self.tries.is_empty() && !self.is_going() && self.untried.len() == 0;
        Err(if over {
            self.failure()
        } else {
            self.into_failure(Failure::Timeout(NOT_IN_TIME))
        })
    }

    /// Why there is no connection, all attempts having failed: what the most telling one said.
    pub fn failure(mut self) -> Failure {
        let unix = self.unix.as_mut().and_then(|(_, error)| error.take());
        if let Some(error) = unix {
            return self.into_failure(Failure::Os(error));
        }
        let telling = self
            .tries
            .iter()
            .filter_map(|(_, state)| match state {
                State::Failed(error) => error.raw_os_error(),
                State::Going(_) | State::Won => None,
            })
            .min_by_key(|code| rank(*code));
        let code = telling.unwrap_or(c::EADDRNOTAVAIL);
        self.into_failure(Failure::Os(io::Error::from_raw_os_error(code)))
    }

    fn into_failure(self, why: Failure) -> Failure {
        let late = || io::Error::from_raw_os_error(c::ETIMEDOUT);
        let unix = self.unix.map(|(address, _)| Try {
            address,
            code: why.code(),
            text: why.message(),
        });
        let tries = self.tries.into_iter().filter_map(|(address, state)| {
            let error = match state {
                State::Going(_) => late(),
                State::Failed(error) => error,
                State::Won => return None,
            };
            let code = error.raw_os_error().unwrap_or(c::EIO);
            let text = describe(&error);
            Some(Try {
                address: address.into(),
                code,
                text,
            })
        });
        Failure::Connect(Box::new(ConnectFailure {
            why,
            tries: tries.chain(unix).collect(),
        }))
    }

    fn is_going(&self) -> bool {
        self.tries
            .iter()
            .any(|(_, state)| matches!(state, State::Going(_)))
    }

    /// False: it failed at once.
    fn begin(&mut self, address: SocketAddr) -> bool {
        let state = match Dial::begin(address, &mut self.setup) {
            Ok(dial) => State::Going(dial),
            Err(error) => State::Failed(error),
        };
        let begun = matches!(state, State::Going(_));
        self.tries.push((address, state));
        begun
    }

    fn poll_settled(&mut self, context: &mut Context<'_>) -> Poll<Settled> {
        let mut settled = Poll::Pending;
        for at in 0..self.tries.len() {
            let State::Going(dial) = &self.tries[at].1 else {
                continue;
            };
            let Poll::Ready(decided) = dial.poll(context) else {
                continue;
            };
            if let Some(connected) = self.settle(at, decided) {
                return Poll::Ready(Settled::Won(connected));
            }
            settled = Poll::Ready(Settled::OneFailed);
        }
        settled
    }

    /// The connection of an attempt that is decided. None: it has failed.
    fn settle(&mut self, at: usize, decided: io::Result<()>) -> Option<Connected> {
        let state = &mut self.tries[at].1;
        let State::Going(dial) = std::mem::replace(state, State::Won) else {
            return None;
        };
        let error = match decided {
            Ok(()) => match dial.finish() {
                Ok(connected) => return Some(connected),
                Err(error) => error,
            },
            Err(error) => {
                dial.give_up(&mut self.setup);
                error
            }
        };
        *state = State::Failed(error);
        None
    }
}

/// The less, the more an error tells of the host: someone refused, nobody is there, no answer came, and last what says
/// only that the attempt made no sense from here.
fn rank(code: i32) -> u8 {
    match code {
        c::ECONNREFUSED => 0,
        c::EHOSTUNREACH | c::ENETUNREACH | c::EHOSTDOWN | c::ENETDOWN => 2,
        c::ETIMEDOUT => 3,
        c::EADDRNOTAVAIL => 4,
        c::EAFNOSUPPORT | c::EPROTONOSUPPORT | c::EINVAL => 5,
        _ => 1,
    }
}

/// RFC 8305, section 4: families alternate, beginning with that of the first address.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (ours, others): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first);
    let mut mixed = Vec::with_capacity(ours.len() + others.len());
    let mut others = others.into_iter();
    for address in ours {
        mixed.push(address);
        mixed.extend(others.next());
    }
    mixed.extend(others);
    mixed
}

#[cfg(test)]
mod tests;
