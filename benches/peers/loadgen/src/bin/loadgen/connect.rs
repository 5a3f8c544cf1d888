//! Visits: connect, one request, its answer, half close, the server's close. The operation is a whole visit.

use crate::Load;
use loadgen::bytes::{Bytes, CHUNK};
use loadgen::conn::Conn;
use loadgen::meter::{Meter, Report};
use loadgen::poller::Poller;
use std::io;
use std::net::Shutdown;
use std::time::Instant;

struct Visit {
    conn: Conn,
    begun: Instant,
}

impl Visit {
    fn begin(
        load: &Load,
        poller: &Poller,
        bytes: &Bytes,
        token: usize,
        number: usize,
    ) -> io::Result<Self> {
        let begun = Instant::now();
        let mut conn = Conn::open(poller, load.port, token, number)?;
        conn.send(poller, bytes, load.size)?;
        Ok(Self { conn, begun })
    }

    /// True: the server closed, after all was there.
    fn is_over(&mut self, size: u64, bytes: &Bytes, buffer: &mut [u8]) -> io::Result<bool> {
        match self.conn.receive(bytes, buffer)? {
            None if self.conn.received == size => Ok(true),
            None => Err(io::Error::other("the server closed before it had answered")),
            Some(count) => {
                if count > 0 && self.conn.received == size {
                    self.conn.stream.shutdown(Shutdown::Write)?;
                }
                Ok(false)
            }
        }
    }
}

pub fn run(load: &Load) -> io::Result<Report> {
    let (bytes, mut buffer, mut poller) = (Bytes::default(), vec![0; CHUNK], Poller::new()?);
    let mut begun = 0;
    let mut visits = Vec::new();
    for token in 0..load.conns {
        visits.push(Visit::begin(load, &poller, &bytes, token, begun)?);
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
            if ready.readable && visit.is_over(load.size as u64, &bytes, &mut buffer)? {
                meter.operation(visit.begun.elapsed());
                *visit = Visit::begin(load, &poller, &bytes, ready.token, begun)?;
                begun += 1;
            }
        }
    }
    meter.report()
}
