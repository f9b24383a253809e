//! What runs in the guest, as its first process: plays scenarios against the
//! guest's own IPVS.
//!
//! Each scenario has a network namespace of its own, which is the director. Its
//! interfaces are tap devices: what is written to one has come in by it, what is
//! read from it has been sent.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, process, thread};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::reboot::{RebootMode, reboot};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// Plays everything and halts the guest.
pub(crate) fn run() -> ! {
    if let Err(error) = play_all() {
        eprintln!("the guest's agent: {error}");
    }
    // Whatever has gone wrong, the guest must end.
    let _ = reboot(RebootMode::RB_HALT_SYSTEM);
    process::exit(1)
}

fn play_all() -> io::Result<()> {
    prepare()?;
    let run: Value = serde_json::from_slice(&fs::read("/run/lvs/run.json")?)?;
    let is_virtual = run["virtual"] == true;
    let mut results = OpenOptions::new()
        .create(true)
        .append(true)
        .open("/run/lvs/results.jsonl")?;
    if is_virtual {
        // Past the moment at which the counter of ticks is zero, before which the
        // kernel says nothing by ICMP.
        thread::sleep(Duration::from_secs(400));
    }
    for scenario in run["scenarios"].as_array().into_iter().flatten() {
        // A thread's namespace ends with it.
        let played = thread::scope(|scope| scope.spawn(|| play(scenario, is_virtual)).join());
        let played = match played {
            Ok(Ok(played)) => played,
            Ok(Err(error)) => json!({"name": scenario["name"], "error": error.to_string()}),
            Err(_) => json!({"name": scenario["name"], "error": "the agent panicked"}),
        };
        writeln!(results, "{played}")?;
    }
    results.sync_all()
}

/// Makes the guest a machine: file systems, modules, silence.
fn prepare() -> io::Result<()> {
    let folder = env::var_os("LVS_GUEST_FOLDER")
        .ok_or_else(|| io::Error::other("LVS_GUEST_FOLDER is not given"))?;
    let none: Option<&str> = None;
    let flags = MsFlags::empty();
    mount(Some("proc"), "/proc", Some("proc"), flags, none)?;
    mount(Some("sys"), "/sys", Some("sysfs"), flags, none)?;
    mount(Some("run"), "/run", Some("tmpfs"), flags, none)?;
    fs::create_dir("/run/lvs")?;
    mount(
        none,
        "/run/lvs",
        Some("hostfs"),
        flags,
        Some(folder.as_bytes()),
    )?;
    load_modules()?;
    for setting in ["default", "all"] {
        set(&format!("net.ipv6.conf.{setting}.disable_ipv6"), "1");
    }
    set("net.core.fb_tunnels_only_for_init_net", "2");
    Ok(())
}

/// Loads what a kernel built with modules needs; one without needs nothing.
fn load_modules() -> io::Result<()> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let base = Path::new("/usr/lib/uml/modules").join(release.trim());
    let Ok(list) = fs::read_to_string(base.join("modules.dep")) else {
        return Ok(());
    };
    let needs: HashMap<&str, Vec<&str>> = list
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(module, needs)| (module, needs.split_whitespace().collect()))
        .collect();
    for (module, before) in &needs {
        let name = Path::new(module).file_stem().and_then(|stem| stem.to_str());
        if name.is_some_and(|name| MODULES.contains(&name) || name.starts_with("ip_vs")) {
            // Last of the list first: each needs those that follow it.
            for path in before.iter().rev().chain([module]) {
                if let Ok(file) = File::open(base.join(path)) {
                    // It may be there already.
                    let _ =
                        nix::kmod::finit_module(&file, c"", nix::kmod::ModuleInitFlags::empty());
                }
            }
        }
    }
    Ok(())
}

const MODULES: [&str; 9] = [
    "ipv6",
    "tun",
    "nf_conntrack",
    "nf_nat",
    "nf_tables",
    "nft_compat",
    "x_tables",
    "xt_mark",
    "tunnel4",
];

/// The director's two sides.
struct Sides([(&'static str, SyncDevice); 2]);

impl Sides {
    fn open() -> io::Result<Self> {
        let open = |name| {
            let device = DeviceBuilder::new()
                .name(name)
                .layer(Layer::L2)
                .build_sync()?;
            device.set_nonblocking(true)?;
            io::Result::Ok(device)
        };
        Ok(Self([("cli", open("cli0")?), ("rs", open("rs0")?)]))
    }

    fn send(&self, side: &Value, frame: &[u8]) -> io::Result<usize> {
        let (_, device) = self.0.iter().find(|(name, _)| side == name).unwrap();
        device.send(frame)
    }

    /// What has been sent, first that to the clients.
    fn drain(&self) -> Vec<Value> {
        let mut out = Vec::new();
        let mut buffer = vec![0; 70_000];
        for (name, device) in &self.0 {
            while let Ok(length) = device.recv(&mut buffer) {
                let frame = &buffer[..length];
                if !is_noise(frame) {
                    out.push(json!({"if": name, "frame": hexadecimal(frame), "text": ""}));
                }
            }
        }
        out
    }
}

/// What the host's own stack says by itself: group membership, router
/// solicitation.
fn is_noise(frame: &[u8]) -> bool {
    let at = |place: usize| frame.get(place).copied().unwrap_or(0);
    match frame.get(12..14) {
        Some([0x86, 0xdd]) if at(20) == 0 => matches!(at(62), 130..=132 | 143),
        Some([0x86, 0xdd]) => at(20) == 58 && matches!(at(54), 130..=133 | 143),
        Some([0x08, 0x00]) => at(23) == 2,
        _ => false,
    }
}

fn play(scenario: &Value, is_virtual: bool) -> io::Result<Value> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    for (name, value) in EARLY {
        set(name, value);
    }
    let sides = Sides::open()?;
    lay_out()?;
    for (name, value) in SETTINGS {
        set(name, value);
    }
    for (name, value) in scenario["sysctl"].as_object().into_iter().flatten() {
        set(name, value.as_str().unwrap_or_default());
    }
    // The host has much to say to SCTP that IPVS leaves to it.
    if is_virtual && command(NO_SCTP).status != 0 {
        return Err(io::Error::other("nft refused its rules"));
    }
    for line in scenario["setup"].as_array().into_iter().flatten() {
        let ran = command(line.as_str().unwrap_or_default());
        if ran.status != 0 {
            return Ok(json!({"name": scenario["name"], "refused": line}));
        }
    }
    wait_for_tick(is_virtual);
    sides.drain();
    let began = monotonic();
    let mut played = scenario.clone();
    for step in played["steps"].as_array_mut().into_iter().flatten() {
        step["t"] = json!((monotonic() - began).as_secs_f64());
        let out = play_step(step, &sides)?;
        step["out"] = json!(out);
    }
    Ok(played)
}

fn play_step(step: &mut Value, sides: &Sides) -> io::Result<Vec<Value>> {
    let mut settle = GAP;
    match step["op"].as_str() {
        Some("send") => {
            let frame = bytes(step["frame"].as_str().unwrap_or_default());
            sides.send(&step["if"], &frame)?;
        }
        Some("wait") => settle = Duration::from_secs_f64(step["s"].as_f64().unwrap_or(0.0)),
        Some("run") => {
            let ran = command(step["cmd"].as_str().unwrap_or_default());
            step["rc"] = json!(ran.status);
            step["stdout"] = json!(ran.stdout);
            step["stderr"] = json!(ran.stderr);
        }
        Some("sysctl") => {
            for (name, value) in step["set"].as_object().into_iter().flatten() {
                set(name, value.as_str().unwrap_or_default());
            }
        }
        other => return Err(io::Error::other(format!("the step {other:?}"))),
    }
    thread::sleep(settle);
    Ok(sides.drain())
}

/// Addresses, routes and neighbours of the recorded director.
fn lay_out() -> io::Result<()> {
    let mut lines = String::from(LAYOUT);
    for last in 80..=83 {
        lines += &format!("addr add 203.0.113.{last}/32 dev lo\n");
        lines += &format!("addr add 2001:db8:ff::{last}/128 dev lo nodad\n");
    }
    for number in 11..=42 {
        for address in [
            format!("10.20.0.{number}"),
            format!("2001:db8:20::{number}"),
        ] {
            lines += &format!(
                "neigh add {address} lladdr 02:00:00:00:20:{number:02x} dev rs0 nud permanent\n"
            );
        }
    }
    lines += ROUTES;
    let mut ip = Command::new("/usr/sbin/ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(stdin) = &mut ip.stdin {
        stdin.write_all(lines.as_bytes())?;
    }
    let status = ip.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("ip refused the layout"))
    }
}

/// What became of a command.
struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// It did not run.
    fn failed(stderr: String) -> Self {
        Self {
            status: -1,
            stdout: String::new(),
            stderr,
        }
    }
}

/// Runs a command line.
fn command(line: &str) -> Ran {
    let words: Vec<String> = match line.split_once('"') {
        Some((before, quoted)) => {
            let quoted = quoted.trim_end_matches('"').to_string();
            let words = before.split_whitespace().map(str::to_string);
            words.chain([quoted]).collect()
        }
        None => line.split_whitespace().map(str::to_string).collect(),
    };
    let Some((program, arguments)) = words.split_first() else {
        return Ran::failed("no command".to_string());
    };
    let ran = Command::new(program)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    match ran {
        Ok(output) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let ran = Ran {
                status: output.status.code().unwrap_or(-1),
                stdout: text(&output.stdout),
                stderr: text(&output.stderr),
            };
            if !ran.stderr.is_empty() {
                eprintln!("{line}: {}", ran.stderr);
            }
            ran
        }
        Err(error) => Ran::failed(error.to_string()),
    }
}

/// Writes a setting; one this kernel has not is left out.
fn set(name: &str, value: &str) {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    if let Err(error) = fs::write(&path, value) {
        eprintln!("{path}: {error}");
    }
}

/// Sleeps until a moment from which far timers are late by the same amount in
/// every run: a millisecond after a tick of 10 ms whose number is round. The
/// counter of ticks begins 300 seconds below zero.
fn wait_for_tick(is_virtual: bool) {
    let ticks = if is_virtual { 1 << 15 } else { 1 };
    let period = 0.01 * f64::from(ticks);
    let now = monotonic().as_secs_f64() - 300.0;
    let rest = period - now.rem_euclid(period) + 0.001;
    thread::sleep(Duration::from_secs_f64(rest));
}

fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

fn bytes(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn hexadecimal(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How long to look for what comes out of a step: longer than two ticks, so that
/// what one step leaves to the next ticks is done before the next step.
const GAP: Duration = Duration::from_millis(22);

/// Drops SCTP behind IPVS, which looks at what comes in with priority 99.
const NO_SCTP: &str = "nft \"add table inet h; \
    add chain inet h i { type filter hook input priority 200 ; }; \
    add rule inet h i meta l4proto sctp drop\"";

/// Before there are interfaces, so that they come up silent.
const EARLY: [(&str, &str); 6] = [
    ("net.ipv6.conf.all.disable_ipv6", "0"),
    ("net.ipv6.conf.default.disable_ipv6", "0"),
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.default.addr_gen_mode", "1"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
];

/// Forwarding on; nothing checked, redirected or limited.
const SETTINGS: [(&str, &str); 12] = [
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.cli0.rp_filter", "0"),
    ("net.ipv4.conf.rs0.rp_filter", "0"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.cli0.send_redirects", "0"),
    ("net.ipv4.conf.rs0.send_redirects", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv4.icmp_msgs_per_sec", "1000000"),
    ("net.ipv4.icmp_msgs_burst", "1000000"),
    ("net.ipv6.icmp.ratelimit", "0"),
    ("net.ipv6.conf.all.forwarding", "1"),
];

const LAYOUT: &str = "\
link set dev cli0 address 02:00:00:00:10:01
link set dev rs0 address 02:00:00:00:20:01
link set lo up
link set cli0 up
link set rs0 up
addr add 10.10.0.1/24 dev cli0
addr add 10.20.0.1/24 dev rs0
addr add 2001:db8:10::1/64 dev cli0 nodad
addr add 2001:db8:20::1/64 dev rs0 nodad
neigh add 10.10.0.254 lladdr 02:00:00:00:10:fe dev cli0 nud permanent
neigh add 2001:db8:10::fe lladdr 02:00:00:00:10:fe dev cli0 nud permanent
neigh add 10.20.0.254 lladdr 02:00:00:00:20:fe dev rs0 nud permanent
neigh add 2001:db8:20::fe lladdr 02:00:00:00:20:fe dev rs0 nud permanent
";

const ROUTES: &str = "\
route add default via 10.10.0.254
route add 172.16.0.0/16 via 10.20.0.254
route add default via 2001:db8:10::fe
route add 2001:db8:172::/48 via 2001:db8:20::fe
";
