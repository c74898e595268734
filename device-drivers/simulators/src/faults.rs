//! What goes wrong on the way: once, when asked for.

use crate::control::{Command, means};

/// What is to happen to the next message.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    corrupt: bool,
    truncate: bool,
    lose: bool,
}

impl Faults {
    /// Notes a command that concerns messages of this device.
    pub fn hear(&mut self, command: &Command, device: &str) {
        match command {
            Command::Corrupt(name) if means(name.as_ref(), device) => self.corrupt = true,
            Command::Truncate(name) if means(name.as_ref(), device) => self.truncate = true,
            Command::Lose(name) if means(name.as_ref(), device) => self.lose = true,
            _ => {}
        }
    }

    /// The message as it arrives; none if it is lost. What says nothing is left for the next.
    pub fn mangle(&mut self, mut message: Vec<u8>) -> Option<Vec<u8>> {
        if message.is_empty() {
            return Some(message);
        }
        if std::mem::take(&mut self.lose) {
            return None;
        }
        let middle = message.len() / 2;
        if std::mem::take(&mut self.corrupt)
            && let Some(byte) = message.get_mut(middle)
        {
            *byte ^= 0x04;
        }
        if std::mem::take(&mut self.truncate) {
            message.truncate(middle);
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_happens_once_and_to_whom_it_is_meant_for() {
        let mut faults = Faults::default();
        faults.hear(&Command::Corrupt(Some("other".into())), "hr");
        assert_eq!(faults.mangle(vec![1, 2, 3, 4]), Some(vec![1, 2, 3, 4]));
        for (command, arrives) in [
            (Command::Corrupt(None), Some(vec![1, 2, 7, 4])),
            (Command::Truncate(Some("hr".into())), Some(vec![1, 2])),
            (Command::Lose(None), None),
        ] {
            faults.hear(&command, "hr");
            assert_eq!(faults.mangle(Vec::new()), Some(Vec::new()));
            assert_eq!(faults.mangle(vec![1, 2, 3, 4]), arrives);
            assert_eq!(faults.mangle(vec![1, 2, 3, 4]), Some(vec![1, 2, 3, 4]));
        }
    }
}
