//! A running director under an operator's hands: `ipvsadm`, which is the program
//! by its other name, `lvs apply` and `lvs save`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use lvs::world::traffic::{Request, http};
use lvs::world::{Family, Method, Plan};
use nix::sys::signal::Signal;

use crate::running::{Running, text};

impl Running {
    /// Runs `lvs` by the name of `ipvsadm`.
    fn ipvsadm(&self, words: &str, stdin: &str) -> Output {
        let name = self.file.with_file_name("ipvsadm");
        if !name.exists() {
            symlink(env!("CARGO_BIN_EXE_lvs"), &name).unwrap();
        }
        let mut child = Command::new(&name)
            .args(words.split_whitespace())
            .env("LVS_SOCKET", self.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Most commands read nothing.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output();
        let _ = std::fs::remove_file(&name);
        output.unwrap()
    }

    /// Runs a command of `lvs` on it; its exit status and all it prints.
    pub(crate) fn lvs(&self, words: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_lvs"))
            .args(words)
            .env("LVS_SOCKET", self.socket())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        (output.status.code().unwrap(), text)
    }

    /// What `ipvsadm` prints when all is well.
    fn listed(&self, words: &str) -> String {
        let output = self.ipvsadm(words, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The name that the web server a client comes to says.
    pub(crate) fn served(&self) -> Option<String> {
        let client = self.world.client();
        let named = client.run(|| http(Plan::web(Family::V4), Request::Name, SOON));
        named.ok()
    }
}

#[test]
fn a_director_without_services_gets_them_from_ipvsadm() {
    let plan = Plan::new(Method::Masquerade);
    let whole = text(&plan, "native", 1);
    let bare = whole.split("[[service]]").next().unwrap();
    let Some(running) = Running::start_with(plan, bare) else {
        return;
    };
    let (vip, rip) = (Plan::web(Family::V4), plan.rip(0, Family::V4));
    assert_eq!(running.listed("-S -n"), "");
    assert_eq!(running.served(), None);
    running.listed(&format!("-A -t {vip} -s wrr"));
    running.listed(&format!("-a -t {vip} -r {rip}:8080 -m -w 3"));
    assert!(running.served().is_some());
    assert_eq!(
        running.listed("-L -n"),
        format!(
            "IP Virtual Server version 1.2.1 (size=10000)\n\
             Prot LocalAddress:Port Scheduler Flags\n  \
               -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n\
             TCP  {vip} wrr\n  \
               -> {:<28} Masq    3      0          1         \n",
            format!("{rip}:8080"),
        )
    );
    let again = running.ipvsadm(&format!("-A -t {vip}"), "");
    assert_eq!(again.status.code(), Some(255), "{again:?}");
    assert_eq!(
        String::from_utf8_lossy(&again.stderr),
        "Service already exists\n"
    );
    let saved = running.listed("-S -n");
    running.listed("-C");
    assert_eq!(running.served(), None);
    let restored = running.ipvsadm("-R", &saved);
    assert!(restored.status.success(), "{restored:?}");
    assert_eq!(running.listed("-S -n"), saved);
    assert!(running.served().is_some());
}

#[test]
fn without_a_director_it_says_which_socket() {
    let plan = Plan::new(Method::Masquerade);
    let Some(mut running) = Running::start(plan, "packet") else {
        return;
    };
    running.signal(Signal::SIGTERM);
    running.child.wait().unwrap();
    let output = running.ipvsadm("-L -n", "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains(&running.socket().display().to_string()),
        "{said}"
    );
}

/// What was changed at run time is neither lost nor in the file by itself.
#[test]
fn changes_are_planned_applied_and_saved() {
    let plan = Plan::new(Method::Masquerade);
    let Some(running) = Running::start(plan, "native") else {
        return;
    };
    let held = running.talk();
    let file = running.file.to_str().unwrap();
    let before = fs::read_to_string(file).unwrap();
    let (echo, rip) = (Plan::echo(Family::V4), plan.rip(0, Family::V4));
    let server = format!("real server {rip}:7007 of service TCP {echo}: weight 1 -> ");

    // Planned, with the connections it touches.
    let wanted = running.file.with_extension("wanted.toml");
    let wanted = wanted.to_str().unwrap();
    let drained = before.replacen(
        &format!("address = \"{rip}:7007\"\nforwarding = \"m\"\nweight = 1"),
        &format!("address = \"{rip}:7007\"\nforwarding = \"m\"\nweight = 0"),
        1,
    );
    assert_ne!(drained, before);
    fs::write(wanted, &drained).unwrap();
    let (status, said) = running.lvs(&["apply", "--dry-run", wanted]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains(&format!("~ {server}0 (")), "{said}");
    assert!(said.contains("1 change, not applied: a dry run"), "{said}");
    assert!(
        running
            .listed("-S -n")
            .contains(&format!("{rip}:7007 -m -w 1"))
    );

    // With faults: all of them, and nothing changes.
    fs::write(wanted, drained.replace("\"rr\"", "\"fastest\"")).unwrap();
    let (status, said) = running.lvs(&["apply", wanted]);
    assert_eq!(status, 2, "{said}");
    assert_eq!(
        said.matches("scheduler is \"fastest\"").count(),
        4,
        "{said}"
    );

    // Made at run time, it is in the way of a file.
    running.listed(&format!("-e -t {echo} -r {rip}:7007 -m -w 5"));
    fs::write(wanted, &drained).unwrap();
    let (status, said) = running.lvs(&["apply", wanted]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("would be lost"), "{said}");
    assert!(said.contains(&format!("~ {server}5")), "{said}");
    running.signal(Signal::SIGHUP);
    running.wait_for("would be lost");
    assert!(
        running
            .listed("-S -n")
            .contains(&format!("{rip}:7007 -m -w 5"))
    );

    // Saved, it is not, and the next start goes by it.
    let (status, said) = running.lvs(&["save"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains(&format!("~ {server}5")), "{said}");
    let saved = fs::read_to_string(file).unwrap();
    let changed = before.lines().zip(saved.lines()).filter(|(a, b)| a != b);
    assert_eq!(
        changed.collect::<Vec<_>>(),
        [("weight = 1", "weight = 5")],
        "the rest is as it was"
    );
    running.signal(Signal::SIGHUP);
    running.wait_for("reloaded: 4 services");

    // A file of somebody else's is not written over.
    running.listed(&format!("-e -t {echo} -r {rip}:7007 -m -w 6"));
    fs::write(file, saved.clone() + "# mine\n").unwrap();
    let (status, said) = running.lvs(&["save"]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("is not as the director read it"), "{said}");

    // Given up, what was made at run time goes.
    let (status, said) = running.lvs(&["apply", "--discard", wanted]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("1 change, applied"), "{said}");
    assert!(
        running
            .listed("-S -n")
            .contains(&format!("{rip}:7007 -m -w 0"))
    );
    let _ = fs::remove_file(wanted);
    for connections in held {
        connections.round(SOON * 10).unwrap();
        for end in connections.stop() {
            assert!(end.error.is_none(), "{end:?}");
        }
    }
}

const SOON: Duration = Duration::from_secs(2);
