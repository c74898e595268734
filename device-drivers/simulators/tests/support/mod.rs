//! Runs the simulator's binary, and listens to it through the real transport.

#[path = "../../../transport/tests/support/mod.rs"]
mod ears;

pub use ears::{Ears, transport};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Simulator {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Simulator {
    /// Starts it and waits until it says that it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_simulators"))
            .args(arguments)
            .arg("--follow-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator starts");
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("piped")));
        let mut simulator = Self { child, stdin, stdout };
        let ready = simulator.line();
        assert!(ready.contains("\"ready\""), "{ready:?}");
        simulator
    }

    pub fn tell(&mut self, command: &str) {
        let stdin = self.stdin.as_mut().expect("piped");
        writeln!(stdin, "{command}").and_then(|()| stdin.flush()).expect("the simulator listens");
    }

    /// The next line it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("utf-8");
        line
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
