//! Tokio's limit: an echo server of one task a connection on a current-thread runtime, without Python. Prints its port.

use loadgen::bytes::CHUNK;
use loadgen::conn::unless_blocked;
use std::cell::RefCell;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

thread_local! {
    /// Of all connections, so that an idle one holds none.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// Receives and sends once. None: nothing was there; else whether the stream goes on, and what was not sent.
fn echo_once(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<(bool, Vec<u8>)>> {
    let Some(count) = unless_blocked(stream.try_read(buffer))? else {
        return Ok(None);
    };
    let sent = unless_blocked(stream.try_write(&buffer[..count]))?.unwrap_or(0);
    Ok(Some((count > 0, buffer[sent..count].to_vec())))
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        stream.readable().await?;
        let echoed = BUFFER.with_borrow_mut(|buffer| echo_once(&stream, buffer))?;
        match echoed {
            None => {}
            Some((false, _)) => return Ok(()),
            Some((true, rest)) => stream.write_all(&rest).await?,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(1024)?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks ends its own task.
        tokio::spawn(echo(stream));
    }
}
