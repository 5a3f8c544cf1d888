//! Visits: connect, one request, its answer, half close, the server's close (with TLS a handshake first). The operation is a whole visit.

use crate::Load;
use loadgen::bytes::{Bytes, CHUNK};
use loadgen::conn::Conn;
use loadgen::meter::{Meter, Report};
use loadgen::poller::Poller;
use loadgen::target::Target;
use std::io;
use std::time::Instant;

struct Visit {
    conn: Conn,
    begun: Instant,
}

impl Visit {
    fn begin(
        target: &Target,
        size: usize,
        poller: &Poller,
        bytes: &Bytes,
        token: usize,
        number: usize,
    ) -> io::Result<Self> {
        let begun = Instant::now();
        let mut conn = Conn::open(poller, target, token, number)?;
        conn.send(poller, bytes, size)?;
        Ok(Self { conn, begun })
    }

    /// True: the server closed, after all was there.
    fn is_over(
        &mut self,
        size: u64,
        poller: &Poller,
        bytes: &Bytes,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        match self.conn.receive(poller, bytes, buffer)? {
            None if self.conn.received == size => Ok(true),
            None => Err(io::Error::other("the server closed before it had answered")),
            Some(count) => {
                if count > 0 && self.conn.received == size {
                    self.conn.stream.finish()?;
                }
                Ok(false)
            }
        }
    }
}

pub fn run(load: &Load) -> io::Result<Report> {
    let (bytes, mut buffer, mut poller) = (Bytes::default(), vec![0; CHUNK], Poller::new()?);
    let target = load.target()?;
    let (mut begun, mut resumed, mut over) = (0, 0, 0);
    let mut visits = Vec::new();
    for token in 0..load.conns {
        visits.push(Visit::begin(
            &target, load.size, &poller, &bytes, token, begun,
        )?);
        begun += 1;
    }
    let mut meter = Meter::new(load.window);
    while !meter.is_over()? {
        for at in 0..poller.wait(meter.patience())? {
            let ready = poller.ready(at);
            let visit = &mut visits[ready.token];
            if ready.writable {
                visit.conn.flush(&poller, &bytes)?;
            }
            if ready.readable && visit.is_over(load.size as u64, &poller, &bytes, &mut buffer)? {
                meter.operation(visit.begun.elapsed());
                over += 1;
                resumed += usize::from(visit.conn.stream.is_resumed());
                *visit = Visit::begin(&target, load.size, &poller, &bytes, ready.token, begun)?;
                begun += 1;
            }
        }
    }
    // The first ones have no ticket yet.
    if load.address.resume && resumed + load.conns < over - over / 10 {
        return Err(io::Error::other(format!(
            "the server resumed {resumed} of {over} sessions"
        )));
    }
    meter.report()
}
