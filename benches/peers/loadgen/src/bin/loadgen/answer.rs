//! The other side for a client under test: it echoes, counts whole messages and takes the time from each answer to
//! the next request, which is what the client, the kernel and the loopback need.

use loadgen::bytes::CHUNK;
use loadgen::conn::unless_blocked;
use loadgen::meter::{Meter, Report, Window};
use loadgen::poller::{Interest, Poller};
use std::io::{self, BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

struct Guest {
    stream: TcpStream,
    /// Bytes of a message that is not whole yet.
    part: usize,
    answered: Option<Instant>,
}

fn welcome(listener: &TcpListener, poller: &Poller, count: usize) -> io::Result<Vec<Guest>> {
    (0..count)
        .map(|token| {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            poller.add(&stream, token, Interest::Read)?;
            Ok(Guest {
                stream,
                part: 0,
                answered: None,
            })
        })
        .collect()
}

impl Guest {
    fn serve(&mut self, size: usize, buffer: &mut [u8], meter: &mut Meter) -> io::Result<()> {
        let Some(count) = unless_blocked(self.stream.read(buffer))? else {
            return Ok(());
        };
        if count == 0 {
            return Err(io::Error::other("the client closed a connection"));
        }
        self.part += count;
        while self.part >= size {
            self.part -= size;
            match self.answered {
                Some(answered) => meter.operation(answered.elapsed()),
                None => meter.amount(1.0),
            }
        }
        // A client in ping-pong has room for what it sent.
        self.stream.write_all(&buffer[..count])?;
        self.answered = Some(Instant::now());
        Ok(())
    }
}

pub fn run(conns: usize, size: usize, mut window: Window) -> io::Result<Report> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    window.pid = Some(line.trim().parse().map_err(io::Error::other)?);

    let (mut buffer, mut poller) = (vec![0; CHUNK], Poller::new()?);
    let mut guests = welcome(&listener, &poller, conns)?;
    let mut meter = Meter::new(window);
    while !meter.is_over()? {
        for at in 0..poller.wait(meter.patience())? {
            guests[poller.ready(at).token].serve(size, &mut buffer, &mut meter)?;
        }
    }
    meter.report()
}
