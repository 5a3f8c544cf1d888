//! The kinds of functions that the app gives.

/// Which of the app's functions is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// `read_cb`.
    Read,
    /// `write_cb`.
    Write,
    /// `connect_cb`.
    Connect,
    /// `event_cb`.
    Event,
    /// `close_cb`.
    Close,
    /// Of `start_event_loop`.
    Start,
    /// Of a timer that runs once.
    Delay,
    /// Of a timer that runs again and again.
    Interval,
    /// Of `dns_lookup`.
    Lookup,
    /// Of `reverse_dns_lookup`.
    ReverseLookup,
    /// Of a poller.
    Poll,
    /// Of an idler.
    Idle,
    /// The function for exceptions itself.
    Catch,
    /// Of `add_event_loop_exit_callback`.
    Exit,
    /// What a notifier, a signal handler or `call_soon_threadsafe` runs.
    Post,
}

impl Which {
    /// `TcpAppError.callback`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read_cb",
            Self::Write => "write_cb",
            Self::Connect => "connect_cb",
            Self::Event => "event_cb",
            Self::Close => "close_cb",
            Self::Start => "start_fn",
            Self::Delay => "delay",
            Self::Interval => "interval",
            Self::Lookup => "dns_lookup",
            Self::ReverseLookup => "reverse_dns_lookup",
            Self::Poll => "poll",
            Self::Idle => "idle",
            Self::Catch => "catch_app_errors",
            Self::Exit => "exit callback",
            Self::Post => "callback",
        }
    }

    /// An exception of an `event_cb` never goes to it again, and the `close_cb` is the last.
    pub fn may_go_to_event_cb(self) -> bool {
        !matches!(self, Self::Event | Self::Close)
    }
}
