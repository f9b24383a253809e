//! `ipvsadm` on a running director: the program by its other name, on the Unix
//! socket of one that directs real packets.

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

    /// What it prints when all is well.
    fn listed(&self, words: &str) -> String {
        let output = self.ipvsadm(words, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The name that the web server a client comes to says.
    fn served(&self) -> Option<String> {
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

const SOON: Duration = Duration::from_secs(2);
