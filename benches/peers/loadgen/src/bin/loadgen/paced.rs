//! Open loop: requests leave at a fixed rate, connection after connection, whether or not answers came. A server
//! that stalls is charged for every request that was due meanwhile.

use crate::Load;
use loadgen::bytes::{Bytes, CHUNK};
use loadgen::conn::{Conn, open_all, settle};
use loadgen::meter::{Meter, Report};
use loadgen::poller::Poller;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// Within so short a time of the next request the load spins: epoll's own clock is coarser.
const SPIN: Duration = Duration::from_millis(1);

struct Caller {
    conn: Conn,
    due: VecDeque<Instant>,
    answers: u64,
}

/// When the next request is due, and of which connection.
struct Schedule {
    begun: Instant,
    every: Duration,
    count: u64,
}

impl Schedule {
    fn next(&self) -> Instant {
        self.begun + Duration::from_secs_f64(self.every.as_secs_f64() * self.count as f64)
    }

    fn patience(&self) -> Duration {
        let left = self.next().saturating_duration_since(Instant::now());
        left.saturating_sub(SPIN)
    }
}

pub fn run(load: &Load, rate: f64) -> io::Result<Report> {
    let (bytes, mut buffer, mut poller) = (Bytes::default(), vec![0; CHUNK], Poller::new()?);
    let mut callers: Vec<_> = open_all(&poller, &load.target()?, load.conns)?
        .into_iter()
        .map(|conn| Caller {
            conn,
            due: VecDeque::new(),
            answers: 0,
        })
        .collect();
    let mut schedule = Schedule {
        begun: Instant::now(),
        every: Duration::from_secs_f64(1.0 / rate),
        count: 0,
    };
    let mut meter = Meter::new(load.window);
    while !meter.is_over()? {
        let patience = schedule
            .patience()
            .min(meter.patience().unwrap_or(Duration::MAX));
        for at in 0..poller.wait(Some(patience))? {
            let ready = poller.ready(at);
            let caller = &mut callers[ready.token];
            if ready.writable {
                caller.conn.flush(&poller, &bytes)?;
            }
            if ready.readable {
                caller.conn.receive_more(&poller, &bytes, &mut buffer)?;
                while caller.conn.received >= (caller.answers + 1) * load.size as u64 {
                    caller.answers += 1;
                    if let Some(due) = caller.due.pop_front() {
                        meter.operation(due.elapsed());
                    }
                }
            }
        }
        send_due(&mut schedule, &mut callers, load.size, &poller, &bytes)?;
    }
    let report = meter.report()?;
    settle(
        callers.iter_mut().map(|caller| &mut caller.conn),
        &mut poller,
        &bytes,
        &mut buffer,
    )?;
    Ok(report)
}

fn send_due(
    schedule: &mut Schedule,
    callers: &mut [Caller],
    size: usize,
    poller: &Poller,
    bytes: &Bytes,
) -> io::Result<()> {
    let now = Instant::now();
    while schedule.next() <= now {
        let at = (schedule.count % callers.len() as u64) as usize;
        callers[at].due.push_back(schedule.next());
        callers[at].conn.send(poller, bytes, size)?;
        schedule.count += 1;
    }
    Ok(())
}
