//! The raw limit: the least that an echo server can do with epoll in one thread. Prints its port, or with the path of a
//! Unix socket as its argument that.

use loadgen::bytes::CHUNK;
use loadgen::conn::unless_blocked;
use loadgen::poller::{Interest, Poller};
use socket2::{Domain, SockAddr, Socket, Type};
use std::env;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const LISTENER: usize = usize::MAX;

struct Guest {
    stream: Socket,
    /// What the kernel did not take; nothing is read meanwhile.
    rest: Vec<u8>,
}

impl Guest {
    /// False: it has ended.
    fn echo(&mut self, token: usize, poller: &Poller, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(count) = unless_blocked(self.stream.read(buffer))? else {
            return Ok(true);
        };
        let sent = unless_blocked(self.stream.write(&buffer[..count]))?.unwrap_or(0);
        if sent < count {
            self.rest.extend_from_slice(&buffer[sent..count]);
            poller.change(&self.stream, token, Interest::Write)?;
        }
        Ok(count > 0)
    }

    fn send_rest(&mut self, token: usize, poller: &Poller) -> io::Result<bool> {
        let sent = unless_blocked(self.stream.write(&self.rest))?.unwrap_or(0);
        self.rest.drain(..sent);
        if self.rest.is_empty() {
            poller.change(&self.stream, token, Interest::Read)?;
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Guests {
    tcp: bool,
    places: Vec<Option<Guest>>,
    free: Vec<usize>,
}

impl Guests {
    fn welcome(&mut self, stream: Socket, poller: &Poller) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        if self.tcp {
            stream.set_tcp_nodelay(true)?;
        }
        let token = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        poller.add(&stream, token, Interest::Read)?;
        self.places[token] = Some(Guest {
            stream,
            rest: Vec::new(),
        });
        Ok(())
    }

    fn serve(&mut self, token: usize, poller: &Poller, buffer: &mut [u8]) {
        let Some(guest) = &mut self.places[token] else {
            return;
        };
        let goes_on = if guest.rest.is_empty() {
            guest.echo(token, poller, buffer)
        } else {
            guest.send_rest(token, poller)
        };
        if !goes_on.unwrap_or(false) {
            self.places[token] = None;
            self.free.push(token);
        }
    }
}

fn listen(path: Option<&Path>) -> io::Result<Socket> {
    let (domain, address) = match path {
        Some(path) => (Domain::UNIX, SockAddr::unix(path)?),
        None => (Domain::IPV4, SocketAddr::from(([127, 0, 0, 1], 0)).into()),
    };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.bind(&address)?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn main() -> io::Result<()> {
    let path = env::args_os().nth(1).map(PathBuf::from);
    let listener = listen(path.as_deref())?;
    let (mut poller, mut buffer) = (Poller::new()?, vec![0; CHUNK]);
    let mut guests = Guests {
        tcp: path.is_none(),
        ..Guests::default()
    };
    poller.add(&listener, LISTENER, Interest::Read)?;
    match (path, listener.local_addr()?.as_socket()) {
        (None, Some(address)) => println!("{}", address.port()),
        (path, _) => println!("{}", path.unwrap_or_default().display()),
    }
    loop {
        for at in 0..poller.wait(None)? {
            match poller.ready(at).token {
                LISTENER => {
                    while let Some((stream, _)) = unless_blocked(listener.accept())? {
                        guests.welcome(stream, &poller)?;
                    }
                }
                token => guests.serve(token, &poller, &mut buffer),
            }
        }
    }
}
