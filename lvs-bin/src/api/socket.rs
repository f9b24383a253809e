//! The Unix socket: made with its mode, taken over from a process that died,
//! taken away at the end.
//!
//! A lock beside the socket says whether its owner lives: the kernel lets go of
//! it with the process, however that ends.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Where the socket is when nothing else is said.
pub const DEFAULT_SOCKET: &str = "/run/lvs.sock";

/// A socket that is listened on, as long as this is kept.
pub(super) struct Socket {
    path: PathBuf,
    /// Locked.
    _lock: File,
}

impl Socket {
    /// Listens at `path`; who may connect, `mode` says.
    ///
    /// *Errors:* somebody listens there, something else is there, or the machine
    /// refuses.
    pub(super) fn listen(path: &Path, mode: u32) -> io::Result<(Self, UnixListener)> {
        let lock = lock(path)?;
        refuse_others(path)?;
        // Under another name until only those may connect who are to: what is
        // bound at once has the mode that the process makes files with.
        let new = beside(path, &format!(".{}", std::process::id()));
        let _ = fs::remove_file(&new);
        let listener = UnixListener::bind(&new)?;
        let named = fs::set_permissions(&new, Permissions::from_mode(mode))
            .and_then(|()| fs::rename(&new, path));
        if let Err(error) = named {
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        listener.set_nonblocking(true)?;
        let path = path.to_owned();
        Ok((Self { path, _lock: lock }, listener))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes the lock of a socket, with this process' number in it.
fn lock(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(beside(path, ".lock"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            let owner = owner.trim();
            return Err(in_use(&format!("process {owner} serves it")));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Refuses to take the place of anything but a socket nobody listens on.
fn refuse_others(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(there) if !there.file_type().is_socket() => Err(in_use("what is there is not a socket")),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(in_use("another program serves it")),
            Err(_) => Ok(()),
        },
    }
}

fn in_use(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, why.to_owned())
}

/// A path with something appended to its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of a test's own, with nothing there.
    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("lvs-{name}-{}", std::process::id()));
        for path in [path.clone(), beside(&path, ".lock")] {
            let _ = fs::remove_file(path);
        }
        path
    }

    fn refused(path: &Path) -> String {
        match Socket::listen(path, 0o600) {
            Ok(_) => panic!("{path:?} is listened on"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn it_has_its_mode_and_goes_with_its_owner() {
        let path = path("mode");
        let (socket, _listener) = Socket::listen(&path, 0o620).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o620);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_live_one_is_refused() {
        let path = path("live");
        let _first = Socket::listen(&path, 0o600).unwrap();
        let said = refused(&path);
        let owner = format!("process {} serves it", std::process::id());
        assert!(said.contains(&owner), "{said}");
    }

    #[test]
    fn one_that_was_left_is_taken_over() {
        let path = path("left");
        // As a killed process leaves it: bound, and without an owner.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (_socket, _listener) = Socket::listen(&path, 0o600).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_is_not_its_own_stays() {
        let path = path("other");
        fs::write(&path, "precious").unwrap();
        assert!(refused(&path).contains("not a socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        assert!(refused(&path).contains("another program"));
        fs::remove_file(&path).unwrap();
    }
}
