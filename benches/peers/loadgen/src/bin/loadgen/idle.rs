//! Connections that do nothing: the server's memory for each, and its CPU time meanwhile.

use crate::Load;
use loadgen::bytes::{Bytes, CHUNK};
use loadgen::conn::{Conn, open_all};
use loadgen::poller::Poller;
use loadgen::proc;
use serde::Serialize;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// For the server to come to rest before it is looked at.
const REST: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize)]
pub struct Report {
    count: usize,
    /// Growth of the server's resident memory for each connection.
    kib_each: f64,
    before_kib: u64,
    after_kib: u64,
    /// Until all were open and answered.
    open_seconds: f64,
    /// CPUs that the server used while nothing happened (1 is one CPU).
    cpu: f64,
}

pub fn run(load: &Load) -> io::Result<Report> {
    let pid = load
        .window
        .pid
        .ok_or_else(|| io::Error::other("idle needs --pid"))?;
    let before = proc::memory(pid, "VmRSS")?;
    let begun = Instant::now();
    let (bytes, mut poller) = (Bytes::default(), Poller::new()?);
    let mut conns = open_all(&poller, &load.target()?, load.conns)?;
    answer_each(&mut conns, load.size, &bytes, &mut poller)?;
    let open = begun.elapsed();
    thread::sleep(REST);
    let after = proc::memory(pid, "VmRSS")?;
    let (cpu, since) = (proc::cpu_time(pid)?, Instant::now());
    thread::sleep(Duration::from_secs_f64(load.window.seconds));
    let used = proc::cpu_time(pid)? - cpu;
    Ok(Report {
        count: conns.len(),
        kib_each: (after as f64 - before as f64) / conns.len() as f64,
        before_kib: before,
        after_kib: after,
        open_seconds: open.as_secs_f64(),
        cpu: used.as_secs_f64() / since.elapsed().as_secs_f64(),
    })
}

fn answer_each(
    conns: &mut [Conn],
    size: usize,
    bytes: &Bytes,
    poller: &mut Poller,
) -> io::Result<()> {
    let (mut buffer, deadline) = (vec![0; CHUNK], Instant::now() + PATIENCE);
    for conn in conns.iter_mut() {
        conn.send(poller, bytes, size)?;
    }
    let mut answered = 0;
    while answered < conns.len() {
        if Instant::now() > deadline {
            return Err(io::Error::other(
                "not every connection was answered in time",
            ));
        }
        for at in 0..poller.wait(Some(REST))? {
            let conn = &mut conns[poller.ready(at).token];
            let count = conn.receive_more(poller, bytes, &mut buffer)?;
            answered += usize::from(count > 0 && conn.received == size as u64);
        }
    }
    Ok(())
}
