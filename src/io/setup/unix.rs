//! Unix stream sockets: to bind one to a path, and to connect to one.

use crate::io::conn::stream::Stream;
use crate::io::conn::wire::Wire;
use crate::io::failure::Failure;
use crate::io::setup::dial::Connected;
use crate::io::setup::listener::Options;
use crate::io::setup::options::SocketOptions;
use crate::io::setup::socket_file::SocketFile;
use crate::io::sys::address::Address;
use crate::io::sys::platform;
use crate::io::sys::platform::c;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// A listener whose queue is full makes no one wait by itself: it is asked again after so long, then ever more rarely.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What a server's socket file is like.
#[derive(Debug, Clone, Copy)]
pub struct FileOptions {
    /// Its permissions, whatever the umask.
    pub mode: u32,
    /// It goes when the server closes.
    pub unlink: bool,
}

/// Listens at `address`, with its file if that goes with the server.
pub fn bind(
    address: &Address,
    file: FileOptions,
    options: &Options,
) -> Result<(Socket, Option<SocketFile>), Failure> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    options.socket_options.set(&socket)?;
    let name = name_of(address)?;
    let Address::Path(path) = address else {
        socket.bind(&name)?;
        listen(&socket, options)?;
        return Ok((socket, None));
    };
    // The process may be elsewhere when the file is to go.
    let place = std::path::absolute(path)?;
    // Between its bind and its listen a server does not answer: others of ours wait for both.
    let _locked = place.parent().map(platform::lock_folder);
    make_way(path, &name)?;
    // The file is made with these, but for what the umask takes away: never with more.
    platform::set_mode(&socket, file.mode)?;
    socket.bind(&name)?;
    let made = SocketFile::at(&place);
    let served = platform::set_file_mode(path, file.mode).and_then(|()| listen(&socket, options));
    // What is dropped removes the file.
    served?;
    Ok(match made {
        Some(made) if !file.unlink => {
            made.leave();
            (socket, None)
        }
        made => (socket, made),
    })
}

fn listen(socket: &Socket, options: &Options) -> io::Result<()> {
    socket.listen(options.backlog.unwrap_or(i32::MAX))
}

/// Removes what a server that is no more has left. In use is what somebody answers at, and what is no socket.
fn make_way(path: &Path, name: &SockAddr) -> Result<(), Failure> {
    let stale = match platform::socket_file_at(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(None) => {
            let what = "a file that is no socket is there, and is not removed".to_owned();
            return Err(Failure::Unfit(c::EADDRINUSE, what));
        }
        Ok(Some(file)) => file,
    };
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(name) {
        Err(error) if error.raw_os_error() == Some(c::ECONNREFUSED) => Ok(remove(path, stale)?),
        // It has gone meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Somebody who is too busy, or of another kind, is somebody.
        _ => Err(io::Error::from_raw_os_error(c::EADDRINUSE).into()),
    }
}

/// Removes the file at `path`, if it still is that one.
fn remove(path: &Path, file: (u64, u64)) -> io::Result<()> {
    match platform::socket_file_at(path) {
        Ok(Some(now)) if now == file => std::fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(io::Error::from_raw_os_error(c::EADDRINUSE)),
    }
}

/// Connects to `address`. In the runtime's context.
pub(crate) async fn dial(address: &Address, options: &SocketOptions) -> io::Result<Connected> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    options.set(&socket)?;
    let name = name_of(address)?;
    let mut pause = FIRST_PAUSE;
    loop {
        match socket.connect(&name) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    let own = Address::own(&socket).unwrap_or(Address::Unnamed);
    Ok(Connected {
        wire: Wire::plain(Stream::Unix(socket))?,
        peer: address.clone(),
        own,
    })
}

fn name_of(address: &Address) -> io::Result<SockAddr> {
    match address {
        Address::Path(path) => SockAddr::unix(path),
        Address::Abstract(name) => {
            let mut all = vec![0];
            all.extend_from_slice(name);
            SockAddr::unix(platform::path(&all))
        }
        Address::Ip(_) | Address::Unnamed => Err(io::Error::from_raw_os_error(c::EINVAL)),
    }
}
