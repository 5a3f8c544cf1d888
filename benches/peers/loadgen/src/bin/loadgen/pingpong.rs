//! Closed loop: `depth` requests are in flight on each connection; each answer calls for the next request.

use crate::Load;
use loadgen::bytes::{Bytes, CHUNK};
use loadgen::conn::{Conn, open_all, settle};
use loadgen::meter::{Meter, Report};
use loadgen::poller::Poller;
use std::collections::VecDeque;
use std::io;
use std::time::Instant;

struct Player {
    conn: Conn,
    /// When each request in flight left.
    sent: VecDeque<Instant>,
    answers: u64,
}

impl Player {
    fn begin(conn: Conn) -> Self {
        Self {
            conn,
            sent: VecDeque::new(),
            answers: 0,
        }
    }

    fn request(
        &mut self,
        poller: &Poller,
        bytes: &Bytes,
        size: usize,
        count: usize,
    ) -> io::Result<()> {
        let now = Instant::now();
        self.sent.extend((0..count).map(|_| now));
        self.conn.send(poller, bytes, size * count)
    }

    /// Takes the answers that are whole; how many.
    fn answered(&mut self, size: usize, meter: &mut Meter) -> usize {
        let mut count = 0;
        while self.conn.received >= (self.answers + 1) * size as u64 {
            self.answers += 1;
            count += 1;
            if let Some(sent) = self.sent.pop_front() {
                meter.operation(sent.elapsed());
            }
        }
        count
    }
}

pub fn run(load: &Load, depth: usize) -> io::Result<Report> {
    let (bytes, mut buffer, mut poller) = (Bytes::default(), vec![0; CHUNK], Poller::new()?);
    let conns = open_all(&poller, &load.target()?, load.conns)?;
    let mut players: Vec<_> = conns.into_iter().map(Player::begin).collect();
    for player in &mut players {
        player.request(&poller, &bytes, load.size, depth)?;
    }
    let mut meter = Meter::new(load.window);
    while !meter.is_over()? {
        for at in 0..poller.wait(meter.patience())? {
            let ready = poller.ready(at);
            let player = &mut players[ready.token];
            if ready.writable {
                player.conn.flush(&poller, &bytes)?;
            }
            if ready.readable {
                player.conn.receive_more(&poller, &bytes, &mut buffer)?;
                let count = player.answered(load.size, &mut meter);
                if count > 0 {
                    player.request(&poller, &bytes, load.size, count)?;
                }
            }
        }
    }
    let report = meter.report()?;
    settle(
        players.iter_mut().map(|player| &mut player.conn),
        &mut poller,
        &bytes,
        &mut buffer,
    )?;
    Ok(report)
}
