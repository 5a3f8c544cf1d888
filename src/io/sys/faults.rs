//! Faults for the calls that send and receive, so that tests see what the kernel seldom does.
//!
//! Without the feature `fault-injection` all of it is [`allowed`], which lets every call have all it asks for.

#[cfg(feature = "fault-injection")]
pub use plan::{Odds, SeededPlan, follow};

/// Who calls the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `send`, `sendmsg`.
    Send,
    /// `recv`.
    Receive,
}

/// How many of `wanted` bytes the call may handle.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub(crate) fn allowed(
    _: &impl crate::io::sys::platform::AsFd,
    _: Call,
    wanted: usize,
) -> std::io::Result<usize> {
    Ok(wanted)
}

#[cfg(feature = "fault-injection")]
pub(crate) use plan::allowed;

#[cfg(all(feature = "fault-injection", not(debug_assertions)))]
compile_error!("fault-injection is for tests: no release build has it");

#[cfg(feature = "fault-injection")]
mod plan {
    use super::Call;
    use crate::io::sync::Mutex;
    use crate::io::sys::platform::{AsFd, c, set_option};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use socket2::SockRef;
    use std::io;

    /// How often, in 10,000 calls. What is left goes through.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct Odds {
        /// Some of the bytes only, followed by an edge as from the kernel.
        pub short: u32,
        /// EAGAIN, followed by an edge as from the kernel; for a receive only where bytes wait, as there is no other edge.
        pub again: u32,
        /// EINTR.
        pub interrupted: u32,
        /// ECONNRESET.
        pub reset: u32,
        /// EPIPE; sends only.
        pub broken_pipe: u32,
        /// ENOBUFS.
        pub no_buffers: u32,
        /// A panic; receives only, so that it strikes a connection's task and not the pump.
        pub panic: u32,
    }

    #[derive(Debug, Clone, Copy)]
    enum Fault {
        Short,
        Again,
        Panic,
        Errno(i32),
    }

    impl Odds {
        fn fault(&self, call: Call, roll: u32) -> Option<Fault> {
            let only = |wanted, odds| if call == wanted { odds } else { 0 };
            let faults = [
                (self.short, Fault::Short),
                (self.again, Fault::Again),
                (self.interrupted, Fault::Errno(c::EINTR)),
                (self.reset, Fault::Errno(c::ECONNRESET)),
                (only(Call::Send, self.broken_pipe), Fault::Errno(c::EPIPE)),
                (self.no_buffers, Fault::Errno(c::ENOBUFS)),
                (only(Call::Receive, self.panic), Fault::Panic),
            ];
            let mut bound = 0;
            faults.into_iter().find_map(|(odds, fault)| {
                bound += odds;
                (roll < bound).then_some(fault)
            })
        }
    }

    /// What the whole process follows, until it is dropped.
    #[derive(Debug)]
    pub struct SeededPlan(());

    struct State {
        odds: Odds,
        dice: u64,
        injected: u64,
    }

    static PLAN: Mutex<Option<State>> = Mutex::new(None);

    /// From now on calls fail at these odds, the same for each `seed` (not 0) and order of calls.
    pub fn follow(seed: u64, odds: Odds) -> SeededPlan {
        *PLAN.lock() = Some(State {
            odds,
            dice: seed,
            injected: 0,
        });
        SeededPlan(())
    }

    impl SeededPlan {
        /// How many faults there were.
        pub fn injected(&self) -> u64 {
            PLAN.lock().as_ref().map_or(0, |state| state.injected)
        }
    }

    impl Drop for SeededPlan {
        fn drop(&mut self) {
            *PLAN.lock() = None;
        }
    }

    impl State {
        /// xorshift64*.
        fn below(&mut self, bound: u64) -> u64 {
            self.dice ^= self.dice >> 12;
            self.dice ^= self.dice << 25;
            self.dice ^= self.dice >> 27;
            (self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
        }

        /// The fault and, for a short one, how many bytes it lets through.
        fn draw(&mut self, call: Call, wanted: usize) -> Option<(Fault, usize)> {
            let roll = u32::try_from(self.below(10_000)).unwrap_or(0);
            let fault = self.odds.fault(call, roll)?;
            let some = 1 + self.below(wanted as u64);
            self.injected += 1;
            Some((fault, usize::try_from(some).unwrap_or(1)))
        }
    }

    pub(crate) fn allowed(socket: &impl AsFd, call: Call, wanted: usize) -> io::Result<usize> {
        if wanted == 0 {
            return Ok(0);
        }
        let drawn = PLAN
            .lock()
            .as_mut()
            .and_then(|state| state.draw(call, wanted));
        match drawn {
            None => Ok(wanted),
            Some((Fault::Short, some)) => make_edge(socket, call).map(|_| some),
            Some((Fault::Again, _)) => match make_edge(socket, call)? {
                true => Err(io::ErrorKind::WouldBlock.into()),
                false => Ok(wanted),
            },
            Some((Fault::Errno(code), _)) => Err(io::Error::from_raw_os_error(code)),
            Some((Fault::Panic, _)) => panic!("injected"),
        }
    }

    /// After EAGAIN or part of what was asked for Tokio waits for an edge. The kernel gives one once a look has told it that
    /// somebody waits for room, and at once when an option is set while there is room or data. False: there will be none.
    fn make_edge(socket: &impl AsFd, call: Call) -> io::Result<bool> {
        match call {
            Call::Send => {
                let mut looked = [PollFd::new(socket, PollFlags::OUT)];
                poll(&mut looked, Some(&Timespec::default()))?;
                let socket = SockRef::from(socket);
                socket.set_send_buffer_size(socket.send_buffer_size()? / 2)?;
            }
            // A look with `recv` would take an error out of the kernel.
            Call::Receive if rustix::io::ioctl_fionread(socket)? > 0 => tell_again(socket),
            Call::Receive => return Ok(false),
        }
        Ok(true)
    }

    /// Makes the kernel tell anew that bytes wait.
    fn tell_again(socket: &impl AsFd) {
        let one = 1i32.to_ne_bytes();
        let _ = set_option(socket, c::SOL_SOCKET, c::SO_RCVLOWAT, &one);
    }
}
