//! The load. Each command talks to one echo server (or, `answer`, to one client) on 127.0.0.1 in a single thread,
//! checks what comes back, and prints its report as a line of JSON.

mod answer;
mod bulk;
mod connect;
mod idle;
mod paced;
mod pingpong;

use clap::{Args, Parser, Subcommand};
use loadgen::meter::Window;
use loadgen::target::{Address, Target};
use std::io;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where to, and how much.
#[derive(Args)]
struct Load {
    #[command(flatten)]
    address: Address,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    conns: usize,
    /// Bytes of one message.
    #[arg(long, default_value_t = 64)]
    size: usize,
    #[command(flatten)]
    window: Window,
}

impl Load {
    fn target(&self) -> io::Result<Target> {
        Target::new(&self.address)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Closed loop: the next request leaves when an answer came.
    Pingpong {
        #[command(flatten)]
        load: Load,
        /// Requests in flight on each connection.
        #[arg(long, default_value_t = 1)]
        depth: usize,
    },
    /// Open loop: requests leave at a fixed rate, and their latency counts from when they were due.
    Paced {
        #[command(flatten)]
        load: Load,
        /// Requests a second, of all connections together.
        #[arg(long)]
        rate: f64,
    },
    /// Full duplex: as many bytes as the server takes, read as they come back.
    Bulk {
        #[command(flatten)]
        load: Load,
    },
    /// Connect, one request, half close, wait for the server's close; and again.
    Connect {
        #[command(flatten)]
        load: Load,
    },
    /// Opens connections, has one request answered on each, and holds them: the memory of one.
    Idle {
        #[command(flatten)]
        load: Load,
    },
    /// The other side for a client under test: prints its port, reads the client's pid, and echoes.
    Answer {
        /// Connections that the client makes.
        #[arg(long, default_value_t = 1)]
        conns: usize,
        /// Bytes of one message.
        #[arg(long, default_value_t = 64)]
        size: usize,
        #[command(flatten)]
        window: Window,
    },
}

fn run(command: Command) -> io::Result<String> {
    let report = match command {
        Command::Pingpong { load, depth } => pingpong::run(&load, depth)?,
        Command::Paced { load, rate } => paced::run(&load, rate)?,
        Command::Bulk { load } => bulk::run(&load)?,
        Command::Connect { load } => connect::run(&load)?,
        Command::Answer {
            conns,
            size,
            window,
        } => answer::run(conns, size, window)?,
        Command::Idle { load } => return Ok(serde_json::to_string(&idle::run(&load)?)?),
    };
    Ok(serde_json::to_string(&report)?)
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
