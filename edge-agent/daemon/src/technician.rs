//! `edge-agent devices …` beside a running agent: what a technician asks of it, signed in with a name of their own.

use crate::agent_client::AgentClient;
use crate::config::Config;
use anyhow::{Context, bail};
use edge_api::bed::Saved;
use edge_api::device::{
    BINDINGS, BeginPairing, COMMAND, COMMANDS, CONFIRM, CommandView, DEVICE, MOVE, MoveDevice, PAIRING, PAIRINGS, PASSKEY, Paired,
    PairingStage, PairingView, Passkey, RECORDINGS, ReachedBy, Record, RecordingView, SCAN, SWAP, Scan, ScanView, SendCommand, SpanView,
    SwapDevice,
};
use edge_api::ward::{DEVICES, DeviceView};
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Between two looks at a pairing.
const LOOK: Duration = Duration::from_millis(400);

/// What is asked of the running agent.
#[derive(clap::Subcommand)]
pub enum Asked {
    /// Moves a device to another bed; both spans stay in the record.
    Move {
        /// The device's id.
        device: String,
        /// The bed.
        bed: String,
        #[command(flatten)]
        person: Person,
    },
    /// Lets another device take a device's place at its bed.
    Swap {
        /// The device's id.
        device: String,
        /// The other's id.
        with: String,
        /// Take it away from the bed it reads for.
        #[arg(long)]
        move_from_other_bed: bool,
        #[command(flatten)]
        person: Person,
    },
    /// Takes a paired device out of use; what it measured stays.
    Retire {
        /// The device's id.
        device: String,
        #[command(flatten)]
        person: Person,
    },
    /// Lists for which beds a device has read.
    Bindings {
        /// The device's id.
        device: String,
        #[command(flatten)]
        person: Person,
    },
    /// Lists the commands a device has that do more than read it.
    Commands {
        /// The device's id.
        device: String,
        #[command(flatten)]
        person: Person,
    },
    /// Sends one of them, if this site has allowed it.
    Send {
        /// The device's id.
        device: String,
        /// The command.
        command: String,
        /// Why; goes into the audit.
        #[arg(long)]
        reason: String,
        /// Minutes east of UTC that a clock is set to.
        #[arg(long, allow_hyphen_values = true)]
        utc_offset_min: Option<i16>,
        #[command(flatten)]
        person: Person,
    },
    /// Records the raw bytes of a device, with the patient's consent.
    Record {
        /// The device's id.
        device: String,
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Who consented and to what; goes into the audit.
        #[arg(long)]
        consent: String,
        /// How it is taken; stands in the recording.
        #[arg(long)]
        how: Option<String>,
        #[command(flatten)]
        person: Person,
    },
}

/// Who asks, and of which agent. The PIN or password is the first line of standard input.
#[derive(clap::Args)]
pub struct Person {
    /// The name to sign in with.
    #[arg(long = "as", value_name = "USER")]
    pub user: String,
    #[command(flatten)]
    pub at: crate::At,
}

/// A device to be paired.
#[derive(clap::Args)]
pub struct Pair {
    /// Its Bluetooth address, the path of its serial port, or its network address.
    pub address: String,
    /// The bed it will read for.
    #[arg(long, requires = "user")]
    pub bed: Option<String>,
    /// The name to sign in with at the running agent; the PIN or password is the first line of standard input.
    #[arg(long = "as", value_name = "USER", requires = "bed")]
    pub user: Option<String>,
    /// Its profile, where what it advertises does not say it.
    #[arg(long)]
    pub profile: Option<String>,
    /// It connects to this box, which waits for it at that address.
    #[arg(long)]
    pub listen: bool,
    /// What the ward will call it.
    #[arg(long)]
    pub name: Option<String>,
    /// The device of this bed that it replaces.
    #[arg(long)]
    pub replaces: Option<String>,
    /// Bond before connecting.
    #[arg(long)]
    pub bond: bool,
    /// Take a device that another site says is its own.
    #[arg(long)]
    pub take_over: bool,
    /// Confirm as soon as its data are valid, without asking.
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub at: crate::At,
}

/// What a person types, line by line.
struct Typed;

impl Typed {
    fn line(&mut self, prompt: &str) -> anyhow::Result<String> {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            eprint!("{prompt}: ");
            std::io::stderr().flush()?;
        }
        let mut line = String::new();
        std::io::Read::take(stdin.lock(), 1024).read_line(&mut line).context("standard input")?;
        let line = line.trim().to_owned();
        if line.is_empty() {
            bail!("standard input: expected a line with {prompt}");
        }
        Ok(line)
    }
}

impl Person {
    async fn sign_in(&self) -> anyhow::Result<AgentClient> {
        let secret = Typed.line("the PIN or password of the user (it will show)")?;
        AgentClient::sign_in(&Config::load(&self.at.config)?, &self.user, &secret).await
    }
}

/// Does one.
///
/// # Errors
/// The agent does not run, or refuses; in its words.
pub async fn ask(asked: Asked) -> anyhow::Result<ExitCode> {
    match asked {
        Asked::Move { device, bed, person } => {
            let _: Saved = person.sign_in().await?.post(&of(MOVE, &device), &MoveDevice { bed: bed.clone() }).await?;
            println!("{device} reads for bed {bed}");
        }
        Asked::Swap { device, with, move_from_other_bed, person } => {
            let request = SwapDevice { with: with.clone(), move_from_other_bed };
            let _: Saved = person.sign_in().await?.post(&of(SWAP, &device), &request).await?;
            println!("{with} has taken the place of {device}");
        }
        Asked::Retire { device, person } => {
            person.sign_in().await?.delete(&of(DEVICE, &device)).await?;
            println!("{device} is not read any more");
        }
        Asked::Bindings { device, person } => {
            let spans: Vec<SpanView> = person.sign_in().await?.get(&of(BINDINGS, &device)).await?;
            lines(&spans)?;
        }
        Asked::Commands { device, person } => {
            let commands: Vec<CommandView> = person.sign_in().await?.get(&of(COMMANDS, &device)).await?;
            lines(&commands)?;
        }
        Asked::Send { device, command, reason, utc_offset_min, person } => {
            let path = of(COMMAND, &device).replace("{command}", &escaped(&command));
            let _: Saved = person.sign_in().await?.post(&path, &SendCommand { reason, utc_offset_min }).await?;
            println!("{command} was sent to {device}");
        }
        Asked::Record { device, seconds, consent, how, person } => {
            let begun: RecordingView = person.sign_in().await?.post(&of(RECORDINGS, &device), &Record { seconds, consent, how }).await?;
            println!("{}", serde_json::to_string(&begun)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Devices as the running agent has them, one JSON line each.
///
/// # Errors
/// As [`ask`].
pub async fn list(person: &Person) -> anyhow::Result<ExitCode> {
    let devices: Vec<DeviceView> = person.sign_in().await?.get(DEVICES).await?;
    lines(&devices)?;
    Ok(ExitCode::SUCCESS)
}

/// What is near, one JSON line a device.
///
/// # Errors
/// As [`ask`].
pub async fn scan(person: &Person, seconds: u8) -> anyhow::Result<ExitCode> {
    let view: ScanView = person.sign_in().await?.post(SCAN, &Scan { seconds: Some(seconds) }).await?;
    lines(&view.found)?;
    if let Some(problem) = &view.problem {
        eprintln!("{problem}");
    }
    Ok(if view.problem.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Pairs: what it hears and wants goes to standard error, the paired device to standard output.
///
/// # Errors
/// As [`ask`].
pub async fn pair(pair: Pair, bed: String, user: String) -> anyhow::Result<ExitCode> {
    let agent = Person { user, at: pair.at }.sign_in().await?;
    let request = BeginPairing {
        by: by(&pair.address, pair.listen),
        bed,
        profile: pair.profile.clone(),
        name: pair.name.clone(),
        replaces: pair.replaces.clone(),
        bond: pair.bond,
        take_over: pair.take_over,
    };
    let mut view: PairingView = agent.post(PAIRINGS, &request).await?;
    let one = |path: &str| path.replace("{pairing}", &view.id);
    let (looks, passkeys, confirms) = (one(PAIRING), one(PASSKEY), one(CONFIRM));
    let mut said = String::new();
    loop {
        let says = describe(&view);
        if says != said {
            eprintln!("{says}");
            said = says;
        }
        match view.stage {
            PairingStage::Passkey => {
                let passkey = tokio::task::block_in_place(|| Typed.line("the number that the device shows"))?;
                view = agent.post(&passkeys, &Passkey { passkey }).await?;
                continue;
            }
            PairingStage::Ready if pair.yes || agrees()? => {
                // Its data may have stopped while the person read: then it goes on.
                match agent.post::<Paired>(&confirms, &serde_json::json!({})).await {
                    Ok(paired) => {
                        println!("{}", serde_json::to_string(&paired)?);
                        return Ok(ExitCode::SUCCESS);
                    }
                    Err(error) => eprintln!("{error:#}"),
                }
            }
            PairingStage::Ready | PairingStage::Failed => {
                agent.delete(&looks).await?;
                return Ok(ExitCode::FAILURE);
            }
            PairingStage::Connecting | PairingStage::Bonding | PairingStage::Listening => {}
        }
        tokio::time::sleep(LOOK).await;
        view = agent.get(&looks).await?;
    }
}

fn agrees() -> anyhow::Result<bool> {
    let typed = tokio::task::block_in_place(|| Typed.line("yes, if this is what the device shows"))?;
    Ok(matches!(typed.to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn describe(view: &PairingView) -> String {
    let values = view.values.iter().map(|value| match &value.value {
        Some(number) => format!("{} {number} {}", value.label, value.unit_shown),
        None => format!("{} ({})", value.label, value.status),
    });
    let facts = [&view.serial, &view.clock_note].into_iter().flatten().cloned();
    let battery = view.battery_percent.map(|percent| format!("battery {percent} %"));
    let parts: Vec<String> = [view.says.clone()].into_iter().chain(facts).chain(battery).chain(values).collect();
    parts.join("; ")
}

/// What a person typed as an address.
fn by(typed: &str, listen: bool) -> ReachedBy {
    if listen {
        return ReachedBy::Listen { address: typed.to_owned() };
    }
    if typed.starts_with('/') {
        return ReachedBy::Serial { path: typed.to_owned() };
    }
    let pairs: Vec<&str> = typed.split(':').collect();
    if pairs.len() == 6 && pairs.iter().all(|pair| pair.len() == 2) {
        return ReachedBy::Bluetooth { address: typed.to_owned() };
    }
    ReachedBy::Network { address: typed.to_owned() }
}

fn of(path: &str, device: &str) -> String {
    path.replace("{device}", &escaped(device))
}

/// Ids are plain; anything else must not leave its place in a path.
fn escaped(id: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    id.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn lines(all: &[impl serde::Serialize]) -> anyhow::Result<()> {
    for one in all {
        println!("{}", serde_json::to_string(one)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_taken_for_the_address_it_looks_like() {
        assert!(matches!(by("02:00:00:00:00:0A", false), ReachedBy::Bluetooth { .. }));
        assert!(matches!(by("/dev/serial/by-id/x", false), ReachedBy::Serial { .. }));
        assert!(matches!(by("10.0.0.7:4601", false), ReachedBy::Network { .. }));
        assert!(matches!(by("0.0.0.0:2575", true), ReachedBy::Listen { .. }));
    }

    #[test]
    fn an_id_stays_in_its_place_in_a_path() {
        assert_eq!(of(MOVE, "ox-1.0707"), "/api/v1/devices/ox-1.0707/move");
        assert_eq!(of(DEVICE, "../users?x"), "/api/v1/devices/..%2Fusers%3Fx");
    }
}
