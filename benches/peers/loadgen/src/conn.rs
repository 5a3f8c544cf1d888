//! One connection of the load: what it owes the server, and what came back.

use crate::bytes::{Bytes, CHUNK};
use crate::poller::{Interest, Poller};
use crate::stream::Stream;
use crate::target::Target;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// For all that was sent to come back once nothing more is sent.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Conn {
    pub stream: Stream,
    token: usize,
    origin: u64,
    pub sent: u64,
    pub received: u64,
    owed: usize,
    interest: Interest,
}

/// None: it would block.
pub fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

impl Conn {
    pub fn open(poller: &Poller, target: &Target, token: usize, number: usize) -> io::Result<Self> {
        let stream = target.connect(number)?;
        stream.set_nonblocking()?;
        stream.set_nodelay()?;
        poller.add(&stream, token, Interest::Read)?;
        Ok(Self {
            stream,
            token,
            origin: number as u64 * 4_093,
            sent: 0,
            received: 0,
            owed: 0,
            interest: Interest::Read,
        })
    }

    /// Sends so many more bytes, now or when the kernel takes them.
    pub fn send(&mut self, poller: &Poller, bytes: &Bytes, count: usize) -> io::Result<()> {
        self.owed += count;
        self.flush(poller, bytes)
    }

    pub fn flush(&mut self, poller: &Poller, bytes: &Bytes) -> io::Result<()> {
        while self.owed > 0 {
            let piece = bytes.at(self.origin + self.sent, self.owed.min(CHUNK));
            let Some(count) = unless_blocked(self.stream.write(piece))? else {
                break;
            };
            self.sent += count as u64;
            self.owed -= count;
        }
        let interest = if self.owed > 0 && self.stream.waits_for_room() {
            Interest::Both
        } else {
            Interest::Read
        };
        if interest != self.interest {
            self.interest = interest;
            poller.change(&self.stream, self.token, interest)?;
        }
        Ok(())
    }

    /// Receives once and checks what came. None: the stream's end; 0: nothing there now.
    pub fn receive(
        &mut self,
        poller: &Poller,
        bytes: &Bytes,
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        let opening = self.stream.is_opening();
        let received = unless_blocked(self.stream.read(buffer))?;
        if opening {
            self.flush(poller, bytes)?;
        }
        let Some(count) = received else {
            return Ok(Some(0));
        };
        if count == 0 {
            return Ok(None);
        }
        bytes.check(self.origin + self.received, &buffer[..count])?;
        self.received += count as u64;
        if self.received > self.sent {
            return Err(io::Error::other("more came back than was sent"));
        }
        Ok(Some(count))
    }

    /// As [`Conn::receive`], where the server has no reason to close.
    pub fn receive_more(
        &mut self,
        poller: &Poller,
        bytes: &Bytes,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        self.receive(poller, bytes, buffer)?
            .ok_or_else(|| io::Error::other("the other side closed a connection"))
    }
}

/// Opens so many connections, numbered from 0.
pub fn open_all(poller: &Poller, target: &Target, count: usize) -> io::Result<Vec<Conn>> {
    (0..count)
        .map(|number| Conn::open(poller, target, number, number))
        .collect()
}

/// Sends nothing new, and waits until all that was sent came back: a single connection that lost a byte would else
/// stand still in silence among many. The connections' tokens are their places.
pub fn settle<'a>(
    conns: impl Iterator<Item = &'a mut Conn>,
    poller: &mut Poller,
    bytes: &Bytes,
    buffer: &mut [u8],
) -> io::Result<()> {
    let (mut conns, deadline): (Vec<_>, _) = (conns.collect(), Instant::now() + PATIENCE);
    while conns
        .iter()
        .any(|conn| conn.owed > 0 || conn.received < conn.sent)
    {
        if Instant::now() > deadline {
            return Err(io::Error::other("not all that was sent came back"));
        }
        for at in 0..poller.wait(Some(Duration::from_millis(100)))? {
            let ready = poller.ready(at);
            let conn = &mut conns[ready.token];
            if ready.writable {
                conn.flush(poller, bytes)?;
            }
            if ready.readable {
                conn.receive_more(poller, bytes, buffer)?;
            }
        }
    }
    Ok(())
}
