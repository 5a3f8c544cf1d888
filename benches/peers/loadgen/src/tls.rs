//! The client's side of TLS over a nonblocking socket, by rustls' unbuffered interface: its buffered one reads 4 KiB at
//! a time, which would make the load slower than the servers.

mod trust;

pub use trust::client_config;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{ClientConfig, HandshakeKind};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Most plaintext sealed at once.
const PIECE: usize = 64 * 1024;
/// Most ciphertext received at once, and what may be left of a record before it.
const SCRATCH: usize = PIECE + 32 * 1024;
/// Plaintext of a record, and the most that its header and tag add.
const RECORD: usize = 16 * 1024;
const OVERHEAD: usize = 64;

thread_local! {
    /// Of all connections, so that an idle one holds none.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// Ciphertext on its way to the kernel.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    /// Appends what `fill` writes into `size` bytes of room; it returns how many it used.
    fn append<E: std::error::Error + Send + Sync + 'static>(
        &mut self,
        size: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> io::Result<()> {
        let before = self.bytes.len();
        self.bytes.resize(before + size, 0);
        let used = fill(&mut self.bytes[before..]).map_err(io::Error::other)?;
        self.bytes.truncate(before + used);
        Ok(())
    }

    fn flush(&mut self, mut stream: &TcpStream) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            self.sent += stream.write(&self.bytes[self.sent..])?;
        }
        self.bytes.clear();
        self.sent = 0;
        Ok(())
    }
}

pub struct Tls {
    session: UnbufferedClientConnection,
    outgoing: Outgoing,
    /// Plaintext of a write that is sealed and not yet with the kernel.
    taken: usize,
    /// The beginning of a record.
    rest: Vec<u8>,
    /// Decrypted and, from `given` on, not yet read.
    plain: Vec<u8>,
    given: usize,
    open: bool,
    ended: bool,
}

impl Tls {
    pub fn new(config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let session = UnbufferedClientConnection::new(Arc::clone(config), name);
        let mut tls = Self {
            session: session.map_err(io::Error::other)?,
            outgoing: Outgoing::default(),
            taken: 0,
            rest: Vec::new(),
            plain: Vec::new(),
            given: 0,
            open: false,
            ended: false,
        };
        tls.advance(&mut [])?;
        Ok(tls)
    }

    /// The handshake is over.
    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn wants_to_send(&self) -> bool {
        !self.outgoing.bytes.is_empty()
    }

    pub fn is_resumed(&self) -> bool {
        self.session.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Takes whole records from the front of `incoming`; returns their length.
    fn advance(&mut self, incoming: &mut [u8]) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(&mut incoming[used..]);
            let mut goes_on = true;
            match state.map_err(io::Error::other)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(io::Error::other)?;
                        discard += record.discard;
                        self.plain.extend_from_slice(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    let size = match data.encode(&mut []) {
                        Err(EncodeError::InsufficientSize(size)) => size.required_size,
                        _ => 0,
                    };
                    self.outgoing.append(size, |room| data.encode(room))?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(_) => (self.open, goes_on) = (true, false),
                ConnectionState::BlockedHandshake => goes_on = false,
                ConnectionState::PeerClosed | ConnectionState::Closed => {
                    (self.ended, goes_on) = (true, false);
                }
                state => return Err(io::Error::other(format!("unexpected: {state:?}"))),
            }
            used += discard;
            if !goes_on {
                return Ok(used);
            }
        }
    }

    /// Seals plaintext, or the end of the stream (None).
    fn seal(&mut self, plain: Option<&[u8]>) -> io::Result<()> {
        let UnbufferedStatus { state, .. } = self.session.process_tls_records(&mut []);
        let ConnectionState::WriteTraffic(mut traffic) = state.map_err(io::Error::other)? else {
            return Err(io::Error::other("nothing can be written now"));
        };
        let size = plain.map_or(0, <[u8]>::len);
        self.outgoing
            .append(size + (size / RECORD + 1) * OVERHEAD, |room| match plain {
                Some(plain) => traffic.encrypt(plain, room),
                None => traffic.queue_close_notify(room),
            })
    }

    /// Reads from the kernel once; false: it was the end.
    fn receive(&mut self, mut stream: &TcpStream) -> io::Result<bool> {
        BUFFER.with_borrow_mut(|buffer| {
            let held = self.rest.len();
            buffer[..held].copy_from_slice(&self.rest);
            let filled = held + stream.read(&mut buffer[held..])?;
            if filled == held {
                return Ok(false);
            }
            let used = self.advance(&mut buffer[..filled])?;
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[used..filled]);
            Ok(true)
        })
    }

    /// "Would block" means that it is to be called again with the same bytes.
    pub fn write(&mut self, stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        while !self.open {
            self.outgoing.flush(stream)?;
            if !self.receive(stream)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if self.taken == 0 {
            let piece = &bytes[..bytes.len().min(PIECE)];
            self.seal(Some(piece))?;
            self.taken = piece.len();
        }
        self.outgoing.flush(stream)?;
        Ok(std::mem::take(&mut self.taken))
    }

    /// Gives what one read from the kernel brought, as far as `buffer` has room for it.
    pub fn read(&mut self, stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() && !self.ended {
            self.plain.clear();
            self.given = 0;
            if !self.receive(stream)? {
                return Ok(0);
            }
        }
        let count = (&self.plain[self.given..]).read(buffer)?;
        self.given += count;
        Ok(count)
    }

    /// Tells the server that nothing more comes.
    pub fn close_notify(&mut self, stream: &TcpStream) -> io::Result<()> {
        self.seal(None)?;
        self.outgoing.flush(stream)
    }
}
