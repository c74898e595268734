//! What a person or a test may do to a device while it runs: one command a line on stdin.

use crate::physiology::Course;
use clap::ValueEnum;
use std::io::BufRead;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Between pulling a cable and putting it back, where it flaps; and how often it may.
const FLAP: Duration = Duration::from_millis(40);
const FLAPS_MAX: u32 = 1000;

/// Something done to a device. Where a name is left out, all devices of the simulator are meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// `unplug [name]`: pull the cable, walk out of range.
    Unplug(Option<String>),
    /// `plug [name]`: undo that.
    Plug(Option<String>),
    /// `silence [name]`: stay connected and say nothing.
    Silence(Option<String>),
    /// `speak [name]`: undo that.
    Speak(Option<String>),
    /// `sensor-off [name]`: the sensor is off the patient.
    SensorOff(Option<String>),
    /// `sensor-on [name]`: undo that.
    SensorOn(Option<String>),
    /// `garbage [name]`: send nonsense once.
    Garbage(Option<String>),
    /// `corrupt [name]`: one byte of what is sent next is wrong.
    Corrupt(Option<String>),
    /// `truncate [name]`: the second half of what is sent next is missing.
    Truncate(Option<String>),
    /// `drop [name]` (Bluetooth): the link breaks, the device stays in range.
    Drop(Option<String>),
    /// `wake [name]` (Bluetooth): a sleeping device is awake for a moment.
    Wake(Option<String>),
    /// `lose-bond [name]` (Bluetooth): the device forgets the key it was paired with.
    LoseBond(Option<String>),
    /// `refuse ERROR [name]` (Bluetooth): each connect is answered with this error of `org.bluez.Error`.
    Refuse(String, Option<String>),
    /// `storm [name]` (Bluetooth): each connection breaks at once.
    Storm(Option<String>),
    /// `wait [name]` (Bluetooth): each subscription is left unanswered.
    Wait(Option<String>),
    /// `mend [name]` (Bluetooth): undo `refuse`, `storm` and `wait`.
    Mend(Option<String>),
    /// `lose [name]`: what is sent next does not arrive.
    Lose(Option<String>),
    /// `again [name]`: what is stored, or was said last, is sent once more.
    Again(Option<String>),
    /// `clock SECONDS`: the devices' clocks are stepped.
    ClockStep(i64),
    /// `cuff`: the cuff measures at once.
    Cuff,
    /// `flap TIMES [name]`: the cable is pulled and put back so often, quickly.
    Flap(u32, Option<String>),
    /// `course stable|deteriorating|improving|sepsis|haemorrhage|respiratory-failure|opioid|recovery`.
    Course(Course),
    /// `adapter off|on|remove|add` (Bluetooth).
    Adapter(Adapter),
    /// `service restart [ms]` (Bluetooth): the Bluetooth service dies and comes back so long after.
    RestartService(Option<u64>),
    /// `bus restart [ms]` (Bluetooth): the whole system bus does.
    RestartBus(Option<u64>),
    /// `quit`.
    Quit,
}

/// What happens to a Bluetooth adapter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adapter {
    /// Switched off.
    Off,
    /// Switched on.
    On,
    /// Pulled out.
    Remove,
    /// Put back in.
    Add,
}

impl Command {
    /// Reads one line.
    ///
    /// # Errors
    /// The line, if it is no command.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let (verb, object) = (words.next().unwrap_or_default(), words.next());
        if let Some(command) = Self::of_messages(verb, object, words.clone().next()) {
            return Ok(command);
        }
        let name = object.map(str::to_owned);
        Ok(match (verb, object) {
            ("unplug", _) => Self::Unplug(name),
            ("plug", _) => Self::Plug(name),
            ("silence", _) => Self::Silence(name),
            ("speak", _) => Self::Speak(name),
            ("sensor-off", _) => Self::SensorOff(name),
            ("sensor-on", _) => Self::SensorOn(name),
            ("garbage", _) => Self::Garbage(name),
            ("corrupt", _) => Self::Corrupt(name),
            ("truncate", _) => Self::Truncate(name),
            ("drop", _) => Self::Drop(name),
            ("wake", _) => Self::Wake(name),
            ("lose-bond", _) => Self::LoseBond(name),
            ("refuse", Some(error)) => Self::Refuse(error.to_owned(), words.next().map(str::to_owned)),
            ("storm", _) => Self::Storm(name),
            ("wait", _) => Self::Wait(name),
            ("mend", _) => Self::Mend(name),
            ("course", Some(course)) => Self::Course(Course::from_str(course, true).map_err(|_| line.to_owned())?),
            ("adapter", Some("off")) => Self::Adapter(Adapter::Off),
            ("adapter", Some("on")) => Self::Adapter(Adapter::On),
            ("adapter", Some("remove")) => Self::Adapter(Adapter::Remove),
            ("adapter", Some("add")) => Self::Adapter(Adapter::Add),
            ("service", Some("restart")) => Self::RestartService(words.next().and_then(|ms| ms.parse().ok())),
            ("bus", Some("restart")) => Self::RestartBus(words.next().and_then(|ms| ms.parse().ok())),
            ("quit", _) => Self::Quit,
            _ => return Err(line.to_owned()),
        })
    }
}

impl Command {
    /// Those that concern what is said and by which clock, for devices of any kind.
    fn of_messages(verb: &str, object: Option<&str>, name: Option<&str>) -> Option<Self> {
        let owned = |word: Option<&str>| word.map(str::to_owned);
        Some(match (verb, object) {
            ("lose", _) => Self::Lose(owned(object)),
            ("again", _) => Self::Again(owned(object)),
            ("clock", Some(seconds)) => Self::ClockStep(seconds.parse().ok()?),
            ("cuff", _) => Self::Cuff,
            ("flap", Some(times)) => Self::Flap(times.parse().ok().filter(|times| *times <= FLAPS_MAX)?, owned(name)),
            _ => return None,
        })
    }
}

/// Whether a command for `name` (or for all) means `device`.
#[must_use]
pub fn means(name: Option<&String>, device: &str) -> bool {
    name.is_none_or(|name| name == device)
}

/// Commands from stdin, and [`Command::Quit`] on SIGTERM, on Ctrl-C, and with `follow_stdin` when stdin closes.
///
/// # Errors
/// Signal handlers cannot be set.
pub fn commands(follow_stdin: bool) -> std::io::Result<mpsc::Receiver<Command>> {
    let (sender, receiver) = mpsc::channel(16);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let from_signals = sender.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        let _ = from_signals.send(Command::Quit).await;
    });
    // A thread of its own: a tokio read of stdin would hold up the program's end until one more line came.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match Command::parse(&line) {
                Ok(Command::Flap(times, name)) => {
                    for _ in 0..times {
                        let there = [Command::Unplug(name.clone()), Command::Plug(name.clone())];
                        for command in there {
                            if sender.blocking_send(command).is_err() {
                                return;
                            }
                            std::thread::sleep(FLAP);
                        }
                    }
                }
                Ok(command) => {
                    if sender.blocking_send(command).is_err() {
                        return;
                    }
                }
                Err(line) => tracing::warn!(line, "not a command"),
            }
        }
        if follow_stdin {
            let _ = sender.blocking_send(Command::Quit);
        }
    });
    Ok(receiver)
}
