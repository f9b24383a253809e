//! A program under test: `lvs run` in a world, with a file and a socket of its
//! own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use lvs::world::traffic::Held;
use lvs::world::{Family, Method, Plan, World};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::setup::alone;

/// A world, and `lvs run` in the director's place.
pub(crate) struct Running {
    pub(crate) world: World,
    pub(crate) file: PathBuf,
    pub(crate) child: Child,
    /// What it logs, a line each.
    log: Receiver<String>,
    /// What it has printed.
    pub(crate) printed: Arc<Mutex<String>>,
    _alone: MutexGuard<'static, ()>,
}

impl Running {
    /// Starts it; when it returns, the director directs.
    pub(crate) fn start(plan: Plan, mode: &str) -> Option<Self> {
        Self::start_with(plan, &text(&plan, mode, 1))
    }

    /// The same with this configuration.
    pub(crate) fn start_with(plan: Plan, text: &str) -> Option<Self> {
        Self::start_as(plan, text, &[])
    }

    /// The same with these arguments besides.
    pub(crate) fn start_as(plan: Plan, text: &str, arguments: &[&str]) -> Option<Self> {
        let alone = alone()?;
        let world = World::build(plan).unwrap();
        let number = std::process::id();
        let file = std::env::temp_dir().join(format!("lvs-process-{number}.toml"));
        write(&file, text);
        let printed = Arc::new(Mutex::new(String::new()));
        let (child, log) = run(&world, &file, arguments, &printed);
        let running = Self {
            world,
            file,
            child,
            log,
            printed,
            _alone: alone,
        };
        running.wait_for("directing");
        Some(running)
    }

    /// Starts another in the place of one that has ended.
    pub(crate) fn start_again(&mut self) {
        (self.child, self.log) = run(&self.world, &self.file, &[], &self.printed);
        self.wait_for("directing");
    }

    /// Waits until it logs a line with `part` in it, which is returned.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let mut seen = String::new();
        loop {
            match self.log.recv_timeout(DEADLINE) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen += &(line + "\n"),
                Err(error) => panic!("never logged {part:?} ({error}), but:\n{seen}"),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(child, signal).unwrap();
    }

    /// Takes another configuration to its file, with the same socket.
    pub(crate) fn write(&self, text: &str) {
        write(&self.file, text);
    }

    /// Where it is controlled.
    pub(crate) fn socket(&self) -> PathBuf {
        socket(&self.file)
    }

    /// Connections of clients that talk all the while.
    pub(crate) fn talk(&self) -> Vec<Held> {
        let pause = Duration::from_millis(1);
        Family::BOTH
            .map(|family| Held::open(self.world.client(), Plan::echo(family), 20, pause, DEADLINE))
            .map(Result::unwrap)
            .into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever became of it, nothing of it stays.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let socket = self.socket();
        for path in [&self.file, &socket, &socket.with_extension("sock.lock")] {
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes a configuration, with the socket that goes with its file.
fn write(file: &Path, text: &str) {
    let control = format!("[control]\nsocket = {:?}\n", socket(file));
    fs::write(file, control + text).unwrap();
}

/// The socket of the program with this file.
fn socket(file: &Path) -> PathBuf {
    file.with_extension("sock")
}

/// Starts `lvs run` on the director's machine; what it logs.
fn run(
    world: &World,
    file: &Path,
    arguments: &[&str],
    printed: &Arc<Mutex<String>>,
) -> (Child, Receiver<String>) {
    let mut child = world
        .director()
        .run(|| {
            Command::new(env!("CARGO_BIN_EXE_lvs"))
                .args(["run", "--config"])
                .arg(file)
                .args(arguments)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        })
        .unwrap();
    let (say, log) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    thread::spawn(move || {
        stderr
            .lines()
            .map_while(Result::ok)
            .try_for_each(|l| say.send(l))
    });
    let (mut stdout, keep) = (child.stdout.take().unwrap(), printed.clone());
    thread::spawn(move || {
        let mut lines = BufReader::new(&mut stdout).lines();
        while let Some(Ok(line)) = lines.next() {
            *keep.lock().unwrap() += &(line + "\n");
        }
    });
    (child, log)
}

/// A configuration file for the services of a plan; rs1 has this weight.
pub(crate) fn text(plan: &Plan, mode: &str, weight: u32) -> String {
    let mut text = format!(
        "[director]\ninterfaces = {:?}\nmode = {mode:?}\nworkers = 1\nconnections = 10000\n",
        plan.director_links()
    );
    let letter = match plan.method {
        Method::Masquerade => "m",
        Method::DirectRoute => "g",
        Method::Tunnel => "i",
    };
    for family in Family::BOTH {
        for (service, inside) in [(Plan::web(family), 8080), (Plan::echo(family), 7007)] {
            text += &format!(
                "[[service]]\naddress = \"{service}\"\nprotocol = \"tcp\"\nscheduler = \"rr\"\n"
            );
            for index in 0..plan.real_servers {
                let rip = plan.rip(index, family);
                let address = match plan.method {
                    Method::Masquerade => SocketAddr::new(rip, inside).to_string(),
                    Method::DirectRoute | Method::Tunnel => rip.to_string(),
                };
                let weight = if index == 0 { weight } else { 1 };
                text += &format!(
                    "[[service.real_server]]\naddress = \"{address}\"\n\
                     forwarding = {letter:?}\nweight = {weight}\n"
                );
            }
        }
    }
    text
}

const DEADLINE: Duration = Duration::from_secs(20);
