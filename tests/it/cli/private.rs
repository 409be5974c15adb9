//! The commands on a private cluster: without a server, beside one, after one, and beside each other.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use passmint::storage::cluster::{Attachment, Cluster};
use rustix::process::{Pid, Signal, kill_process};

use super::{Operator, eventually, within};

/// A server or a command that does not outlive its test.
struct Running(Child);

impl Running {
    fn is_over(&mut self) -> bool {
        self.0.try_wait().expect("its state").is_some()
    }

    /// Asks it to stop, and waits until it has.
    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.0), Signal::INT).expect("it is told to stop");
        within(Duration::from_secs(20), "it stops", &mut || self.is_over());
    }

    /// Waits for it to end successfully. Returns what it reported.
    fn told(mut self) -> String {
        within(Duration::from_secs(20), "it ends", &mut || self.is_over());
        let mut told = String::new();
        self.0.stderr.take().expect("its messages").read_to_string(&mut told).expect("text");
        assert_eq!(self.0.wait().expect("its end").code(), Some(0), "{told}");
        told
    }
}

impl Drop for Running {
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
    let mut server = Running(serve.expect("the server starts"));
    let mut lines = BufReader::new(server.0.stderr.take().expect("its messages")).lines();
    let ready = lines.by_ref().map_while(Result::ok).find(|line| line.contains("ready at"));
    assert!(ready.is_some(), "the server is ready");
    // Nobody reads its messages any more: it must continue all the same, and stop when asked to.
    drop(lines);
    let doctor = operator.run(&["doctor"]);
    assert!(doctor.out.contains("the private one of a running server"), "{}{}", doctor.out, doctor.err);
    operator.ok(&["clients", "create", "late", "--grant", "refresh_token"]);
    operator.ok(&["keys", "rotate", "--purpose", "refresh", "--now"]);
    let new_key = operator.path("new.key").display().to_string();
    assert!(operator.ok(&["keys", "rewrap", "--new-key-file", &new_key]).contains("now contains the new key"));
    assert!(!server.is_over(), "the server still runs");

    server.stop();
    let clients = operator.ok(&["clients", "list"]);
    assert!(clients.contains("early") && clients.contains("late"), "{clients}");
    assert!(operator.ok(&["doctor"]).contains("the private one, started for this command"));
}

/// An import that runs until its input is closed.
fn import(operator: &Operator, source: &str) -> (Running, ChildStdin) {
    let mut command = operator.command(&["import", "-", "--source", source, "--chunk", "1"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (Running(child), input)
}

#[test]
fn a_command_keeps_its_cluster_for_the_others_and_a_server_waits_for_it() {
    let mut operator = Operator::new();
    operator.set("PASSMINT_LISTEN", "127.0.0.1:0");
    operator.set("PASSMINT_ADMIN_LISTEN", "off");
    operator.ok(&["migrate"]);
    let (mut first, input_of_first) = import(&operator, "first");
    eventually("the first runs the cluster", || {
        matches!(Cluster::attach(&operator.path("data")), Ok(Attachment::Running(_)))
    });
    let (second, mut input) = import(&operator, "second");
    // The second line ends the first chunk.
    input.write_all(b"{\"id\":\"1\"}\n{\"id\":\"2\"}\n").unwrap();
    eventually("the second works there too", || operator.json(&["users", "list"]).as_array().unwrap().len() == 1);

    drop(input_of_first);
    let serve = operator.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut server = Running(serve.expect("the server starts"));
    std::thread::sleep(Duration::from_secs(1));
    assert!(!first.is_over() && !server.is_over(), "the one waits for the second, the other for the first");
    input.write_all(b"{\"id\":\"3\"}\n").unwrap();
    drop(input);
    assert_eq!(second.told(), "");
    let told = first.told();
    assert_eq!(
        told,
        "passmint: another command uses the private database that this one started: waiting for its end\n"
    );

    let lines = BufReader::new(server.0.stderr.take().expect("its messages")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("ready at")), "the server is ready");
    assert_eq!(operator.json(&["users", "list"]).as_array().unwrap().len(), 3);
    server.stop();
}
