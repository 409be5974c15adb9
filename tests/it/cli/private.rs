//! The commands on a private cluster: with no server, beside one, and after it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Operator, within};

/// A server that does not outlive its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn commands_work_with_and_without_a_server_on_the_private_cluster() {
    let mut operator = Operator::new();
    operator.set("PASSMINT_LISTEN", "127.0.0.1:0");
    operator.set("PASSMINT_ADMIN_LISTEN", "off");
    let refusal = operator.refused(&["users", "list"]);
    assert!(refusal.contains("start the server once with `passmint serve`"), "{refusal}");
    assert!(!operator.path("data").exists(), "looking makes nothing");
    assert!(operator.ok(&["doctor"]).contains("not made yet"));
    assert!(operator.refused(&["keys", "init"]).contains("by itself"));

    assert!(operator.ok(&["migrate"]).starts_with("applied "));
    assert!(operator.ok(&["keys", "list"]).contains("there are no signing keys yet"));
    operator.ok(&["clients", "create", "early", "--grant", "refresh_token"]);

    let serve = operator.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut server = Server(serve.expect("the server starts"));
    let mut lines = BufReader::new(server.0.stderr.take().expect("its messages")).lines();
    let ready = lines.by_ref().map_while(Result::ok).find(|line| line.contains("ready at"));
    assert!(ready.is_some(), "the server is ready");
    // Nobody reads its messages from here on: it must go on all the same, and stop when it is told to.
    drop(lines);
    let doctor = operator.run(&["doctor"]);
    assert!(doctor.out.contains("the private one of a running server"), "{}{}", doctor.out, doctor.err);
    operator.ok(&["clients", "create", "late", "--grant", "refresh_token"]);
    operator.ok(&["keys", "rotate", "--purpose", "refresh", "--now"]);
    let new_key = operator.path("new.key").display().to_string();
    assert!(operator.ok(&["keys", "rewrap", "--new-key-file", &new_key]).contains("holds the new key now"));
    assert!(server.0.try_wait().expect("its state").is_none(), "the server still runs");

    kill_process(Pid::from_child(&server.0), Signal::INT).expect("the server is told to stop");
    within(Duration::from_secs(20), "the server stops", &mut || server.0.try_wait().expect("its state").is_some());
    let clients = operator.ok(&["clients", "list"]);
    assert!(clients.contains("early") && clients.contains("late"), "{clients}");
    assert!(operator.ok(&["doctor"]).contains("the private one, started for this command"));
}
