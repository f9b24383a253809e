//! A real kernel as an ordinary process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::{Value, json};

use crate::frames;

/// A kernel that can be booted.
pub(crate) struct Guest {
    kernel: PathBuf,
    virtual_time: bool,
}

impl Guest {
    /// The kernel that `LVS_GUEST` names, or Debian's, with the tools a scenario
    /// needs.
    ///
    /// *Errors:* what is missing.
    pub(crate) fn find() -> Result<Self, String> {
        let kernel = env::var_os("LVS_GUEST").unwrap_or_else(|| DEBIANS.into());
        let kernel = PathBuf::from(kernel);
        if !kernel.exists() {
            return Err(format!("there is no {}", kernel.display()));
        }
        for tool in ["ipvsadm", "ip", "nft"] {
            let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
            let is_in = |folder: &&str| Path::new(folder).join(tool).exists();
            if !folders.iter().any(is_in) {
                return Err(format!("{tool} is missing"));
            }
        }
        let help = Command::new(&kernel).arg("--help").output();
        let help = help.map_err(|error| format!("{}: {error}", kernel.display()))?;
        let text = [help.stdout, help.stderr].concat();
        Ok(Self {
            kernel,
            virtual_time: String::from_utf8_lossy(&text).contains("time-travel"),
        })
    }

    /// Whether waiting costs nothing.
    pub(crate) const fn is_virtual(&self) -> bool {
        self.virtual_time
    }

    /// Boots once and plays scenarios; each comes back with what came of it.
    pub(crate) fn play(&self, scenarios: &[Value]) -> Vec<Value> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("lvs-guest-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // The first of a boot is played for nothing: to begin with, the kernel's
        // limit of ICMP messages is used up.
        let all: Vec<&Value> = scenarios.first().into_iter().chain(scenarios).collect();
        let run = json!({"scenarios": all, "virtual": self.virtual_time});
        fs::write(folder.join("run.json"), run.to_string()).unwrap();
        self.boot(&folder);
        let results = fs::read_to_string(folder.join("results.jsonl")).unwrap_or_default();
        let console = fs::read_to_string(folder.join("console")).unwrap_or_default();
        fs::remove_dir_all(&folder).unwrap();
        let played: Vec<Value> = results
            .lines()
            .skip(1)
            .map(|line| with_vary(serde_json::from_str(line).unwrap()))
            .collect();
        assert_eq!(
            played.len(),
            scenarios.len(),
            "the guest ended early:\n{console}"
        );
        played
    }

    fn boot(&self, folder: &Path) {
        let console = fs::File::create(folder.join("console")).unwrap();
        let mut command = Command::new(&self.kernel);
        command
            .args([
                "mem=512M",
                "root=/dev/root",
                "rootfstype=hostfs",
                "rootflags=/",
                "ro",
                "quiet",
            ])
            .args(["con=null", "con0=null,fd:2"])
            .arg(format!("init={}", env::current_exe().unwrap().display()))
            .arg(format!("uml_dir={}", folder.display()))
            .arg(format!("LVS_GUEST_FOLDER={}", folder.display()))
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console);
        if self.virtual_time {
            command.arg("time-travel=inf-cpu");
        }
        let mut guest = command.spawn().unwrap();
        let end = Instant::now() + LIMIT;
        while guest.try_wait().unwrap().is_none() {
            if Instant::now() > end {
                guest.kill().unwrap();
                guest.wait().unwrap();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Notes in each frame that came out what would not be the same in another boot.
fn with_vary(mut played: Value) -> Value {
    assert!(
        played["error"].is_null(),
        "in the guest: {}",
        played["error"]
    );
    for step in played["steps"].as_array_mut().into_iter().flatten() {
        for out in step["out"].as_array_mut().into_iter().flatten() {
            let frame = frames::bytes(out["frame"].as_str().unwrap());
            out["vary"] = json!(frames::vary(&frame));
        }
    }
    played
}

/// Whether a scenario makes sense: the kernel took all its commands.
pub(crate) fn is_sound(played: &Value) -> bool {
    let steps = played["steps"].as_array();
    let failed = |step: &Value| step["op"] == "run" && step["rc"] != 0;
    steps.is_some_and(|steps| !steps.iter().any(failed))
}

/// The kernel of Debian's package user-mode-linux.
const DEBIANS: &str = "/usr/bin/linux.uml";
/// A boot that takes longer has got stuck.
const LIMIT: Duration = Duration::from_secs(300);
