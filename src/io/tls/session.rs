//! One session's records: what rustls makes of the bytes that come, and of those that are to go.
//!
//! All that is special to rustls' unbuffered interface is in this file.

use crate::io::tls::config::{ClientTls, ServerTls};
use crate::io::tls::failure::TlsFailure;
use crate::io::tls::info::Info;
use crate::io::tls::sni;
use crate::io::tls::verify;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{Acceptor, ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedConnectionCommon, UnbufferedStatus,
};
use rustls::{CommonState, Error, HandshakeKind, ProtocolVersion};
use std::sync::Arc;
use std::time::Duration;

/// Plain bytes in one record (RFC 8446, 5.1), and what a record has beyond them at most.
const RECORD: usize = 16 * 1024;
const OVERHEAD: usize = 64;
/// An alert.
const ALERT: usize = 64;

/// So many bytes come of as many plain ones, at most.
pub(crate) fn sealed_size(plain: usize) -> usize {
    // Beside the last record, which may be empty: updates of keys, one that the peer has asked for and one that is due.
    plain + (plain / RECORD + 2) * OVERHEAD
}

/// What processing came to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Progress {
    /// Bytes at the front that are done with.
    pub(crate) used: usize,
    /// The peer's close_notify was there.
    pub(crate) ended: bool,
}

/// What a configuration says of a session beside what rustls minds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How long the handshake may take.
    pub(crate) limit: Option<Duration>,
    /// An end without close_notify is an end.
    pub(crate) truncation: bool,
}

impl Terms {
    fn of(limit: Option<Duration>, truncation: bool) -> Self {
        Self { limit, truncation }
    }
}

/// Where a session is.
enum Role {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
    /// A server's that does not know yet which of its configurations the client asks for; how many bytes it has seen.
    Asking(Box<Acceptor>, Arc<ServerTls>, usize),
}

/// See the module's page.
pub(crate) struct Session {
    role: Role,
    /// What the client asked for.
    server_name: Option<Box<str>>,
    /// Those of the configuration that the client asks for, once it is known which.
    terms: Terms,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session")
    }
}

/// Does the same with either kind of connection.
macro_rules! each {
    ($role:expr, $one:ident => $body:expr, $other:expr) => {
        match $role {
            Role::Client($one) => $body,
            Role::Server($one) => $body,
            Role::Asking(..) => $other,
        }
    };
}

impl Session {
    pub(crate) fn client(
        config: &ClientTls,
        name: ServerName<'static>,
    ) -> Result<Self, TlsFailure> {
        let asked = match &name {
            ServerName::DnsName(name) => Some(name.as_ref().into()),
            _ => None,
        };
        let session = UnbufferedClientConnection::new(config.rustls.clone(), name);
        let session = session.map_err(|error| TlsFailure::of(&error, false, &[]))?;
        Ok(Self {
            role: Role::Client(session),
            server_name: asked,
            terms: Terms::of(config.limit, config.truncation),
        })
    }

    pub(crate) fn server(config: &Arc<ServerTls>) -> Result<Self, TlsFailure> {
        let role = if config.names.is_empty() {
            Role::Server(serve(config)?)
        } else {
            Role::Asking(Box::default(), config.clone(), 0)
        };
        Ok(Self {
            role,
            server_name: None,
            terms: Terms::of(config.limit, config.truncation),
        })
    }

    /// A server's may change while it handshakes.
    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    pub(crate) fn is_server(&self) -> bool {
        !matches!(self.role, Role::Client(_))
    }

    /// Whether bytes of the app's may go and come.
    pub(crate) fn is_open(&self) -> bool {
        each!(&self.role, one => !one.is_handshaking(), false)
    }

    /// Whether the peer's handshake is over, too, whatever of ours does not reach it: what a server of TLS 1.3 has left to
    /// say are tickets.
    pub(crate) fn is_open_there(&self) -> bool {
        match &self.role {
            Role::Server(server) => {
                self.is_open() && server.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            }
            _ => false,
        }
    }

    /// Takes the whole records off the front of `incoming`. `plain` gets what they hold; what is to be sent is put behind
    /// `out`, an alert about what is wrong too.
    pub(crate) fn open(
        &mut self,
        incoming: &mut [u8],
        plain: impl FnMut(&[u8]),
        out: &mut Vec<u8>,
    ) -> Result<Progress, TlsFailure> {
        if let Role::Asking(..) = self.role
            && !self.ask(incoming, out)?
        {
            return Ok(Progress::default());
        }
        let mut used = 0;
        let opened = each!(&mut self.role, one => open(&mut **one, incoming, &mut used, plain, out), Ok(false));
        if let Some(asked) = sni::asked_for() {
            self.server_name = Some(asked);
        }
        match opened {
            Ok(ended) => Ok(Progress { used, ended }),
            Err(error) => {
                let self_signed = verify::refused_self_signed();
                let rest = &mut incoming[used..];
                each!(&mut self.role, one => drain(&mut **one, rest, out), ());
                Err(TlsFailure::of(&error, self_signed, out))
            }
        }
    }

    /// Looks for the name that the client asks for in what has come, which is `all`. False: it is not there yet.
    fn ask(&mut self, all: &[u8], out: &mut Vec<u8>) -> Result<bool, TlsFailure> {
        let Role::Asking(acceptor, config, seen) = &mut self.role else {
            return Ok(true);
        };
        let mut new = &all[*seen..];
        while !new.is_empty() {
            match acceptor.read_tls(&mut new) {
                Ok(1..) => {}
                _ => break,
            }
        }
        *seen = all.len() - new.len();
        match acceptor.accept() {
            Ok(None) => Ok(false),
            Ok(Some(hello)) => {
                let chosen = config.for_name(hello.client_hello().server_name());
                self.role = Role::Server(serve(&chosen)?);
                self.terms = Terms::of(chosen.limit, chosen.truncation);
                Ok(true)
            }
            Err((error, mut alert)) => {
                // Into memory: it does not fail.
                let _ = alert.write_all(out);
                Err(TlsFailure::of(&error, false, out))
            }
        }
    }

    /// Puts `plain` behind `out` as records. `held`: what has come of a record that is not all there.
    pub(crate) fn seal(
        &mut self,
        plain: &[u8],
        held: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<(), TlsFailure> {
        let sealed = each!(&mut self.role, one => seal(&mut **one, plain, held, out), Err(Error::HandshakeNotComplete));
        sealed.map_err(|error| TlsFailure::of(&error, false, &[]))
    }

    /// Puts a close_notify behind `out`: nothing is sealed after it.
    pub(crate) fn finish(&mut self, held: &mut [u8], out: &mut Vec<u8>) {
        // A session that has failed has no more to say.
        let _ = each!(&mut self.role, one => finish(&mut **one, held, out), Ok(()));
    }

    /// What was agreed on, after the handshake.
    pub(crate) fn info(&self) -> Option<Info> {
        let state: &CommonState = each!(&self.role, one => one, return None);
        let chain = state.peer_certificates().unwrap_or_default();
        Some(Info {
            version: state.protocol_version()?,
            cipher: state.negotiated_cipher_suite()?.suite(),
            group: state
                .negotiated_key_exchange_group()
                .map(|group| group.name()),
            alpn: state.alpn_protocol().map(Box::from),
            server_name: self.server_name.clone(),
            chain: chain.iter().map(|one| Box::from(one.as_ref())).collect(),
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }
}

fn serve(config: &ServerTls) -> Result<UnbufferedServerConnection, TlsFailure> {
    UnbufferedServerConnection::new(config.rustls.clone())
        .map_err(|error| TlsFailure::of(&error, false, &[]))
}

/// Both kinds of connection of rustls', which it gives the same method apart.
trait Records {
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Records for UnbufferedConnectionCommon<ClientConnectionData> {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

impl Records for UnbufferedConnectionCommon<ServerConnectionData> {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

fn open<R: Records + ?Sized>(
    session: &mut R,
    incoming: &mut [u8],
    used: &mut usize,
    mut plain: impl FnMut(&[u8]),
    out: &mut Vec<u8>,
) -> Result<bool, Error> {
    let mut ended = false;
    loop {
        let UnbufferedStatus { mut discard, state } = session.process(&mut incoming[*used..]);
        let mut over = false;
        let state = state.inspect_err(|_| *used += discard)?;
        match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    plain(record.payload);
                }
            }
            ConnectionState::EncodeTlsData(mut data) => {
                encode(out, |room| data.encode(room))?;
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::PeerClosed => ended = true,
            ConnectionState::Closed => (ended, over) = (true, true),
            _ => over = true,
        }
        *used += discard;
        if over {
            return Ok(ended);
        }
    }
}

/// After an error: the alert about it.
fn drain<R: Records + ?Sized>(session: &mut R, incoming: &mut [u8], out: &mut Vec<u8>) {
    loop {
        match session.process(incoming).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                if encode(out, |room| data.encode(room)).is_err() {
                    return;
                }
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            _ => return,
        }
    }
}

/// Leads the session to where it can be written to. What it has to say before goes behind `out`. It has seen `held`, of
/// which nothing is whole, and wants to see it again.
fn write<R: Records + ?Sized, T>(
    session: &mut R,
    held: &mut [u8],
    out: &mut Vec<u8>,
    write: impl FnOnce(
        &mut rustls::unbuffered::WriteTraffic<'_, R::Data>,
        &mut Vec<u8>,
    ) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        match session.process(held).state? {
            ConnectionState::WriteTraffic(mut traffic) => return write(&mut traffic, out),
            ConnectionState::EncodeTlsData(mut data) => encode(out, |room| data.encode(room))?,
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::PeerClosed => {}
            _ => return Err(Error::HandshakeNotComplete),
        }
    }
}

fn seal<R: Records + ?Sized>(
    session: &mut R,
    plain: &[u8],
    held: &mut [u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    write(session, held, out, |traffic, out| {
        append(out, sealed_size(plain.len()), |room| {
            traffic.encrypt(plain, room)
        })
    })
}

fn finish<R: Records + ?Sized>(
    session: &mut R,
    held: &mut [u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    write(session, held, out, |traffic, out| {
        append(out, ALERT, |room| traffic.queue_close_notify(room))
    })
}

fn encode(
    out: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), Error> {
    let size = match encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        _ => return Ok(()),
    };
    append(out, size, encode)
}

fn append<E: Refusal>(
    out: &mut Vec<u8>,
    size: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<(), Error> {
    let before = out.len();
    out.resize(before + size, 0);
    let filled = fill(&mut out[before..]);
    out.truncate(before + *filled.as_ref().unwrap_or(&0));
    filled.map(drop).map_err(Refusal::error)
}

/// Errors of writing into memory.
trait Refusal {
    fn error(self) -> Error;
}

impl Refusal for EncodeError {
    fn error(self) -> Error {
        Error::General(self.to_string())
    }
}

impl Refusal for EncryptError {
    fn error(self) -> Error {
        Error::General(self.to_string())
    }
}
