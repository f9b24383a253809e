//! The tool as a program of its own: the `lvs` binary by the name of `ipvsadm`,
//! which comes to the recorded director by the control API, on a Unix socket.
//!
//! For hosts and ports to have the names they had on the recorded machine, the
//! test and the programs it starts see another `/etc`, for which it must be root.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::{fs, io, thread};

use lvs::api::{Only, converse};
use lvs::ipvsadm::Output;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use crate::director::Director;
use crate::printed::{HOSTS, SERVICES};

/// Where the program and its socket are, once there are such.
static PLACE: OnceLock<PathBuf> = OnceLock::new();

/// How often it was run.
static RUNS: AtomicUsize = AtomicUsize::new(0);

/// From now on command lines go to the program. To be called before there is a
/// second thread.
///
/// *Errors:* the machine's; they go to the library as before.
pub(crate) fn start(binary: &str) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none)?;
    mount(Some("etc"), "/etc", Some("tmpfs"), MsFlags::empty(), none)?;
    fs::write("/etc/hosts", HOSTS)?;
    fs::write("/etc/services", SERVICES)?;
    fs::write("/etc/nsswitch.conf", "hosts: files\nservices: files\n")?;
    let folder = Path::new("/etc/tool");
    fs::create_dir(folder)?;
    symlink(binary, folder.join("ipvsadm"))?;
    PLACE.get_or_init(|| folder.to_owned());
    Ok(())
}

/// How often the program was run.
pub(crate) fn runs() -> usize {
    RUNS.load(Ordering::Relaxed)
}

/// What the program prints for a command line; `None` where there is no program.
pub(crate) fn output(director: &mut Director<'_>, words: &[String], stdin: &str) -> Option<Output> {
    let folder = PLACE.get()?;
    RUNS.fetch_add(1, Ordering::Relaxed);
    let socket = folder.join("socket");
    let _ = fs::remove_file(&socket);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let director = Mutex::new(Only(director));
    thread::scope(|scope| {
        let listener = runtime.block_on(async { UnixListener::bind(&socket) });
        let listener = listener.unwrap();
        let (say, ended) = oneshot::channel();
        scope.spawn(|| say.send(run(folder, &socket, words, stdin)));
        runtime.block_on(async {
            let serving = async {
                while let Ok((stream, _)) = listener.accept().await {
                    converse(stream, &director).await;
                }
            };
            tokio::select! {
                output = ended => Some(output.unwrap().unwrap()),
                () = serving => None,
            }
        })
    })
}

/// Runs the program to its end.
fn run(folder: &Path, socket: &Path, words: &[String], stdin: &str) -> io::Result<Output> {
    // From a file, as what is not read must not hold anything up.
    let lines = folder.join("stdin");
    fs::write(&lines, stdin)?;
    let output = Command::new(folder.join("ipvsadm"))
        .args(words)
        .env("LVS_SOCKET", socket)
        .stdin(fs::File::open(&lines)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Output {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        // What a signal ended has none.
        status: output.status.code().map_or(u8::MAX, |code| code as u8),
    })
}
