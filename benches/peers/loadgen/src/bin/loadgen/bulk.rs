//! Full duplex: each connection has so many bytes on their way and sends more as they come back. The operation that
//! is counted is a megabyte that went there and back.

use crate::Load;
use loadgen::bytes::{Bytes, CHUNK};
use loadgen::conn::{open_all, settle};
use loadgen::meter::{Meter, Report};
use loadgen::poller::Poller;
use std::io;

/// Bytes on their way on each connection: more would fill kernel buffers and measure cache misses.
const IN_FLIGHT: usize = 1 << 20;

pub fn run(load: &Load) -> io::Result<Report> {
    let (bytes, mut buffer, mut poller) = (Bytes::default(), vec![0; CHUNK], Poller::new()?);
    let mut conns = open_all(&poller, &load.target()?, load.conns)?;
    for conn in &mut conns {
        conn.send(&poller, &bytes, IN_FLIGHT)?;
    }
    let mut meter = Meter::new(load.window);
    while !meter.is_over()? {
        for at in 0..poller.wait(meter.patience())? {
            let ready = poller.ready(at);
            let conn = &mut conns[ready.token];
            let count = if ready.readable {
                conn.receive_more(&poller, &bytes, &mut buffer)?
            } else {
                0
            };
            meter.amount(count as f64 / 1e6);
            conn.send(&poller, &bytes, count)?;
        }
    }
    let report = meter.report()?;
    settle(conns.iter_mut(), &mut poller, &bytes, &mut buffer)?;
    Ok(report)
}
