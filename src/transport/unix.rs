//! Unix sockets: a listening socket, and the file that stands for it.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use http::Extensions;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use super::{Accepted, BoxIo, Peer, ResetOnDrop, SocketOptions};
use crate::telemetry::events;

/// A Unix socket at its path, on which nobody can connect yet.
#[derive(Debug)]
pub(crate) struct UnixBinding {
    bound: WithFile<Socket>,
    path: PathBuf,
}

/// A Unix socket that listens.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: WithFile<UnixListener>,
    path: PathBuf,
}

/// A socket, and the file that stands for it; `None` for one that somebody else made.
///
/// The file is dropped first: while the socket is open, the system gives the number of its file to
/// no other, so a file of that number is this one and not that of a successor at the same path.
#[derive(Debug)]
struct WithFile<S> {
    file: Option<SocketFile>,
    socket: S,
}

impl UnixBinding {
    /// Makes the file at `path`. One that a server left there when it died is replaced.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let address = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        remove_stale(path, &address)?;
        socket.bind(&address)?;
        let file = Some(SocketFile::made_at(path)?);
        Ok(Self { bound: WithFile { file, socket }, path: path.to_owned() })
    }

    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        fs::set_permissions(&self.path, Permissions::from_mode(mode))
    }

    /// `None` leaves it as it is. The last thing that is set: who has given the file away may not
    /// change it any more.
    pub(crate) fn set_owner(&self, owner: Option<u32>, group: Option<u32>) -> io::Result<()> {
        if owner.is_none() && group.is_none() {
            return Ok(());
        }
        // Where others may write in the folder, what stands there now may be their link.
        lchown(&self.path, owner, group)
    }

    pub(crate) fn listen(self, options: &SocketOptions) -> io::Result<UnixSocket> {
        self.bound.socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        UnixSocket::from_listening(self.bound, self.path)
    }
}

impl UnixSocket {
    /// Takes a socket that another process has bound and listens on; its file stays that process's.
    pub(super) fn inherit(socket: Socket, path: PathBuf) -> io::Result<Self> {
        Self::from_listening(WithFile { file: None, socket }, path)
    }

    fn from_listening(bound: WithFile<Socket>, path: PathBuf) -> io::Result<Self> {
        bound.socket.set_nonblocking(true)?;
        let WithFile { file, socket } = bound;
        Ok(Self { listener: WithFile { socket: UnixListener::from_std(socket.into())?, file }, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn close(&self) {
        // Without its file nobody finds the socket, and the path is free. (To `shutdown` it would let
        // `accept` spin: it says "try again" for ever, and epoll that there is something to read.)
        if let Some(file) = &self.listener.file {
            file.remove();
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        let (stream, _) = self.listener.socket.accept().await?;
        // There is no reset on a Unix socket; the client sees the end of the stream.
        Ok(Accepted {
            io: BoxIo::new(stream),
            local: None,
            peer: Peer::Unix,
            reset: ResetOnDrop::default(),
            items: Extensions::new(),
        })
    }
}

/// Removes the file of a dead server, and nothing else.
///
/// A server between its `bind` and its `listen` looks dead; two that start at the same path at the
/// same moment are not told apart.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A server whose backlog is full would let the probe wait.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            events::stale_socket_removed(path);
            fs::remove_file(path)
        }
        // Whatever else: somebody answers, or it cannot be known, and `bind` says "in use".
        _ => Ok(()),
    }
}

/// The file of a socket, removed when this is dropped if it is still the same file.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl SocketFile {
    fn made_at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), id: id(&fs::symlink_metadata(path)?) })
    }

    fn remove(&self) {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if id(&found) == self.id => {
                if let Err(error) = fs::remove_file(&self.path) {
                    events::socket_not_removed(&self.path, &error);
                }
            }
            // Another server stands there now, or nobody.
            _ => {}
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

fn id(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Whether the file at the path is there when this is dropped.
    struct Witness<'a>(&'a Path, &'a Mutex<Option<bool>>);

    impl Drop for Witness<'_> {
        fn drop(&mut self) {
            *self.1.lock().unwrap() = Some(self.0.exists());
        }
    }

    #[test]
    fn the_file_goes_while_its_number_is_taken() {
        let path = std::env::temp_dir().join(format!("kestrel-rs-unix-{}.sock", std::process::id()));
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let seen = Mutex::new(None);
        let file = Some(SocketFile::made_at(&path).unwrap());
        drop(WithFile { file, socket: Witness(&path, &seen) });
        assert_eq!(seen.into_inner().unwrap(), Some(false));
    }
}
