//! A server in a process of its own. `child.rs` is the other side.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use super::Result;

/// A started server; dropping it ends the process.
pub(crate) struct ServerProcess {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl ServerProcess {
    /// Starts one that says its port in its first line, and ends when its input does.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut process = Self::start_at(command.stdin(Stdio::piped()).stdout(Stdio::piped()), 0)?;
        let output = process.child.stdout.take();
        let mut port = String::new();
        BufReader::new(output.ok_or("no standard output")?).read_line(&mut port)?;
        process.address.set_port(port.trim_end().parse().map_err(|_| "it did not say its port")?);
        Ok(process)
    }

    /// Starts one that knows its port already.
    pub(crate) fn start_at(command: &mut Command, port: u16) -> Result<Self> {
        let child = command
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", command.get_program().display()))?;
        Ok(Self { child, address: (Ipv4Addr::LOCALHOST, port).into() })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
