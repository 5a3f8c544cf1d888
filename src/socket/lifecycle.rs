//! A `Socket` from its making to its end. What Python calls is in `socket.rs`, the states are in `life.rs`.

use crate::boundary::condition;
use crate::event_loop::state::{Core, Entry};
use crate::io::conn::link::Link;
use crate::io::setup::connect;
use crate::io::setup::connect::{Host, Target};
use crate::io::setup::dial::{Given, Setup};
use crate::io::sync::Mutex;
use crate::objects::server::TcpServer;
use crate::socket::Socket;
use crate::socket::ending;
use crate::socket::ending::Reason;
use crate::socket::options;
use crate::socket::phase::{Life, Step};
use crate::socket::state::{Callbacks, Manners, State};
use crate::socket::streams;
use pyo3::prelude::*;
use socket2::Socket as OwnedSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

impl Socket {
    /// A socket in `life`, not yet in the loop's table.
    pub fn make(
        py: Python<'_>,
        core: Arc<Core>,
        link: Arc<Link>,
        callbacks: Callbacks,
        manners: Manners,
        server: Option<Py<TcpServer>>,
    ) -> PyResult<Py<Self>> {
        let life = if server.is_some() {
            Life::Open
        } else {
            Life::Idle
        };
        link.set_wants_flushed(callbacks.write.is_some());
        let state = Mutex::new(State::new(life, callbacks, manners));
        let socket = Self {
            core,
            link,
            server,
            closed: AtomicBool::new(false),
            state,
        };
        let socket = Py::new(py, socket)?;
        if manners.stream || manners.keeps() {
            streams::make_own(socket.bind(py))?;
        }
        Ok(socket)
    }

    /// Begins to connect; errors come to the `event_cb`.
    pub fn connect(slf: &Bound<'_, Self>, host: Host) -> PyResult<()> {
        let socket = slf.get();
        if !socket.step(Step::Connect) {
            return Err(if socket.is_closed() {
                condition::socket_closed(slf)
            } else {
                condition::connected_twice(slf)
            });
        }
        let target = {
            let mut state = socket.state.lock();
            state.target = Some(Box::new(host.clone()));
            let extras = state.extras_mut_if_any();
            let family = extras.as_ref().and_then(|extras| extras.family);
            let setup = extras.map_or_else(Setup::default, |extras| Setup {
                local: extras.local,
                options: std::mem::take(&mut extras.options),
                given: extras.given.take().map(Given::from),
            });
            Target {
                host,
                setup,
                family,
            }
        };
        streams::keep_own(slf)?;
        socket
            .core
            .insert(socket.link.key, Entry::Socket(slf.clone().unbind()));
        connect::start(&socket.core.hub, &socket.link, target);
        Ok(())
    }

    /// Begins with a connection that was made elsewhere.
    pub fn take_over(slf: &Bound<'_, Self>, connection: OwnedSocket) -> PyResult<()> {
        let socket = slf.get();
        socket.step(Step::Connect);
        streams::keep_own(slf)?;
        let core = &socket.core;
        core.insert(socket.link.key, Entry::Socket(slf.clone().unbind()));
        connect::take_over(&core.hub, &socket.link, connection);
        Ok(())
    }

    /// Closes it: no callback starts from here on but its `close_cb`, all are let go. Again: nothing.
    pub fn end(slf: &Bound<'_, Self>, force: bool) {
        let socket = slf.get();
        if socket.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let life = Self::let_go(slf);
        // Before the task closes its own: an abortive close takes the last descriptor.
        options::close_os_socket(socket, slf.py());
        if life != Life::Idle {
            let pointless = life == Life::Connecting && socket.link.is_pointless();
            socket.link.close(&socket.core.hub, force || pointless);
            socket.core.mark_dirty(&socket.link);
            socket.core.nudge();
            drop(socket.core.remove(socket.link.key));
        } else {
            // Never in the table, so no `Gone` will free its key.
            socket.core.hub.free_key(socket.link.key);
        }
    }

    /// Its connection belongs to somebody else from now on: closes it without touching that.
    pub fn end_given_away(slf: &Bound<'_, Self>) {
        let socket = slf.get();
        if socket.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        Self::let_go(slf);
        options::close_os_socket(socket, slf.py());
        socket.link.give_away(&socket.core.hub);
        drop(socket.core.remove(socket.link.key));
    }

    /// Its `close_cb` will run, if a connection was begun; all else that it calls and would tell is let go.
    fn let_go(slf: &Bound<'_, Self>) -> Life {
        let (life, mut callbacks, others) = {
            let mut state = slf.get().state.lock();
            let life = std::mem::replace(&mut state.life, Life::Closed);
            (life, std::mem::take(&mut state.callbacks), state.let_go())
        };
        if let Some(close_cb) = callbacks.close.take_if(|_| life != Life::Idle) {
            ending::leave(slf, close_cb);
        }
        drop((callbacks, others));
        life
    }

    /// The loop has ended: like [`Socket::end`], while the I/O side is gone already.
    pub fn end_with_loop(slf: &Bound<'_, Self>) {
        let socket = slf.get();
        ending::begin(socket, Reason::LoopEnd);
        if !socket.closed.swap(true, Ordering::SeqCst) {
            Self::let_go(slf);
        }
        socket.link.abandon();
        options::close_os_socket(socket, slf.py());
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.core.is_forked() {
            // What it holds is given back under locks that a thread of the parent may have held.
            std::mem::forget(self.link.clone());
        } else if self.state.lock().life == Life::Idle {
            // Never in the table, so no `Gone` will free its key.
            self.core.hub.free_key(self.link.key);
        }
    }
}
