//! Where the load connects to.

use crate::stream::Stream;
use crate::tls::{Tls, client_config};
use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

/// Source addresses that take turns: one has 28,000 ports, each of which rests for a minute after its connection.
const SOURCES: usize = 200;

#[derive(clap::Args)]
pub struct Address {
    /// The server's port on 127.0.0.1.
    #[arg(long, default_value_t = 0, required_unless_present = "path")]
    port: u16,
    /// The server's Unix socket.
    #[arg(long, conflicts_with = "port")]
    path: Option<PathBuf>,
    /// TLS, with the server that has this certificate (a PEM file).
    #[arg(long, conflicts_with = "path")]
    certificate: Option<PathBuf>,
    /// Take up earlier sessions of TLS again.
    #[arg(long, requires = "certificate")]
    pub resume: bool,
}

pub enum Target {
    Tcp(u16),
    Unix(PathBuf),
    Tls(u16, Arc<ClientConfig>),
}

impl Target {
    pub fn new(address: &Address) -> io::Result<Self> {
        Ok(match (&address.path, &address.certificate) {
            (Some(path), _) => Self::Unix(path.clone()),
            (None, Some(certificate)) => Self::Tls(
                address.port,
                client_config(certificate, address.resume)?.into(),
            ),
            (None, None) => Self::Tcp(address.port),
        })
    }

    /// Connects, and waits for it; loopback takes a connection as soon as the backlog has room. `number` chooses the
    /// source address.
    pub fn connect(&self, number: usize) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(port) => Stream::Tcp(connect(*port, number)?),
            Self::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Self::Tls(port, config) => {
                Stream::Tls(connect(*port, number)?, Box::new(Tls::new(config)?))
            }
        })
    }
}

fn connect(port: u16, number: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let source = Ipv4Addr::new(127, 0, 0, 1 + (number % SOURCES) as u8);
    socket.bind(&SocketAddrV4::new(source, 0).into())?;
    socket.connect(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())?;
    Ok(socket.into())
}
