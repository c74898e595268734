//! A hub in a directory of its own, on ports of its own.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub const USER: &str = "amina";
pub const PIN: &str = "4917";

/// A place for a hub: its configuration and data.
pub struct Place {
    pub directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let place = Self { directory };
        place.configure("");
        place
    }

    /// Writes the configuration anew, with these lines added.
    pub fn configure(&self, more: &str) {
        let data = self.data();
        let text =
            format!("name = \"test\"\ndata = {data:?}\nbind = \"127.0.0.1:0\"\nmqtt = \"127.0.0.1:0\"\nlate_s = 5\noffline_s = 50\n{more}");
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("hub.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sync-hub"));
        command.args(arguments).arg("--config").arg(self.config()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs a command that must succeed; what it printed.
    pub fn done(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs a command that must fail; what it said.
    pub fn refused(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert_eq!(output.status.code(), Some(1), "{arguments:?} went through");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Starts the hub and waits until it is ready.
    pub fn start(&self) -> Hub {
        let mut child = self.command(&["run"]).stderr(Stdio::inherit()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no ready line but {line:?}"));
        assert_eq!(ready["ready"], true);
        assert_eq!(ready["pid"], child.id());
        let address = |key: &str| ready[key].as_str().unwrap().parse().unwrap();
        Hub { http: address("http"), mqtt: address("mqtt"), child, client: reqwest::Client::new() }
    }

    /// A hub with one operator.
    pub fn start_with_operator(&self) -> Hub {
        self.done(&["user", "add", USER, "--role", "operator", "--pin-stdin"], PIN);
        self.start()
    }
}

/// A running hub. Ends with its test.
pub struct Hub {
    pub http: SocketAddr,
    pub mqtt: SocketAddr,
    child: Child,
    client: reqwest::Client,
}

impl Hub {
    pub async fn sign_in(&self, user: &str, secret: &str) -> (u16, Value) {
        self.post("/api/v1/session", None, &json!({"user": user, "secret": secret})).await
    }

    pub async fn token(&self) -> String {
        let (status, body) = self.sign_in(USER, PIN).await;
        assert_eq!(status, 200, "{body}");
        body["token"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        let answer = self.client.get(format!("http://{}{path}", self.http)).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = self.client.post(format!("http://{}{path}", self.http)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    pub async fn text(&self, path: &str, token: &str) -> String {
        let answer = self.client.get(format!("http://{}{path}", self.http)).bearer_auth(token).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// The row of a site on the operator's page.
    pub async fn row(&self, token: &str, site: &str) -> Value {
        let (status, fleet) = self.get("/api/v1/fleet", token).await;
        assert_eq!(status, 200, "{fleet}");
        fleet["sites"].as_array().unwrap().iter().find(|row| row["site"] == site).cloned().unwrap_or_default()
    }

    /// The row, once it is as `wanted` says; panics after ten seconds.
    pub async fn row_when(&self, token: &str, site: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..200 {
            let row = self.row(token, site).await;
            if wanted(&row) {
                return row;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{site} never came to be as wanted: {}", self.row(token, site).await);
    }

    /// Ends it as the system would; how it exited.
    pub fn stop(mut self) -> Option<i32> {
        let ended = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(ended.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether any file below holds these bytes.
pub fn anywhere(directory: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return anywhere(&path, bytes);
        }
        let mut content = Vec::new();
        std::fs::File::open(&path).unwrap().read_to_end(&mut content).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}
