//! The phase of a socket as the app sees it: states, steps, and which step leads where. No I/O, no Python.
//!
//! ```text
//! Idle ──Connect──→ Connecting ──Establish──→ Open ──PeerEnds──→ HalfOpen
//!   │                   │                      │                    │
//!   └──────Close────────┴────────Close─────────┴──────Close─────────┴──→ Closed
//! ```

/// Where a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Made, not connected.
    Idle,
    /// Being looked up or connected.
    Connecting,
    /// Both directions are open.
    Open,
    /// The peer has sent its FIN, and the app was told.
    HalfOpen,
    /// The app is done with it; what was written may still be on its way.
    Closed,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An attempt begins.
    Connect,
    /// The connection exists.
    Establish,
    /// End of stream.
    PeerEnds,
    /// The app, an error or the loop's end closes it.
    Close,
}

impl Phase {
    /// Where `step` leads; None: it is refused.
    pub fn after(self, step: Step) -> Option<Self> {
        match (self, step) {
            (Self::Idle, Step::Connect) => Some(Self::Connecting),
            (Self::Connecting, Step::Establish) => Some(Self::Open),
            (Self::Open, Step::PeerEnds) => Some(Self::HalfOpen),
            (Self::Closed, _) => None,
            (_, Step::Close) => Some(Self::Closed),
            _ => None,
        }
    }

    /// Lower case, for `repr`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "not connected",
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::HalfOpen => "half open",
            Self::Closed => "closed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, Step};

    #[test]
    fn each_pair_of_state_and_step_leads_where_the_drawing_says() {
        use Phase::{Closed, Connecting, HalfOpen, Idle, Open};
        use Step::{Close, Connect, Establish, PeerEnds};
        let allowed = [
            (Idle, Connect, Connecting),
            (Connecting, Establish, Open),
            (Open, PeerEnds, HalfOpen),
            (Idle, Close, Closed),
            (Connecting, Close, Closed),
            (Open, Close, Closed),
            (HalfOpen, Close, Closed),
        ];
        for state in [Idle, Connecting, Open, HalfOpen, Closed] {
            for step in [Connect, Establish, PeerEnds, Close] {
                let wanted = allowed
                    .iter()
                    .find(|row| (row.0, row.1) == (state, step))
                    .map(|row| row.2);
                assert_eq!(state.after(step), wanted, "{state:?} {step:?}");
            }
        }
    }
}
