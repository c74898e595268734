//! Alarms a device raises itself. They are claims of the device, kept as such; scoring raises its own alerts.

/// A condition that a device announces or ends. Devices repeat their alarm lists; a driver says each change once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// What tells it apart on this device, stable while it lasts: code and source as the protocol states them.
    pub id: String,
    /// What the device shows, as sent; a phrase of the protocol's where it sends none.
    pub text: String,
    /// Whom or what it is about.
    pub kind: AlarmKind,
    /// How urgent the device says it is.
    pub priority: AlarmPriority,
    /// Whether it holds; false ends it.
    pub active: bool,
    /// Demonstration or test.
    pub demo: bool,
}

/// Whom or what an alarm is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlarmKind {
    /// The patient.
    Physiological,
    /// The device, its sensors, its line.
    Technical,
}

impl AlarmKind {
    /// The word on the public JSON line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Physiological => "physiological",
            Self::Technical => "technical",
        }
    }
}

/// How urgent a device says an alarm is, least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AlarmPriority {
    /// For information.
    Advisory,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
}

impl AlarmPriority {
    /// The word on the public JSON line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Advisory => "advisory",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// The alarms that hold on a device whose protocol repeats the whole list: what changed from one list to the next.
#[derive(Debug, Default)]
pub struct AlarmList {
    held: Vec<Alarm>,
}

/// How many alarms are held at one time; no monitor shows more.
pub const ALARMS_MAX: usize = 128;

impl AlarmList {
    /// Takes the list as it is now; yields the alarms that began or changed, then those that ended.
    pub fn replace(&mut self, mut now: Vec<Alarm>) -> Vec<Alarm> {
        now.truncate(ALARMS_MAX);
        let mut changes: Vec<Alarm> = now.iter().filter(|alarm| !self.held.contains(alarm)).cloned().collect();
        let ended = |old: &&Alarm| !now.iter().any(|alarm| alarm.id == old.id);
        changes.extend(self.held.iter().filter(ended).map(|old| Alarm { active: false, ..old.clone() }));
        self.held = now;
        changes
    }
    /// Takes one alarm that began; true if that is news.
    pub fn begin(&mut self, alarm: &Alarm) -> bool {
        if self.held.contains(alarm) {
            return false;
        }
        self.held.retain(|old| old.id != alarm.id);
        if self.held.len() < ALARMS_MAX {
            self.held.push(alarm.clone());
        }
        true
    }
    /// Ends the alarm with this id, if it holds.
    pub fn end(&mut self, id: &str) -> Option<Alarm> {
        let at = self.held.iter().position(|alarm| alarm.id == id)?;
        Some(Alarm { active: false, ..self.held.remove(at) })
    }
    /// Forgets all of it: the link is down.
    pub fn clear(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(id: &str, text: &str) -> Alarm {
        Alarm {
            id: id.to_owned(),
            text: text.to_owned(),
            kind: AlarmKind::Physiological,
            priority: AlarmPriority::High,
            active: true,
            demo: false,
        }
    }

    #[test]
    fn a_repeated_list_says_only_what_changed() {
        let mut list = AlarmList::default();
        assert_eq!(list.replace(vec![alarm("1", "HR high"), alarm("2", "leads off")]).len(), 2);
        assert_eq!(list.replace(vec![alarm("1", "HR high"), alarm("2", "leads off")]), []);
        let changes = list.replace(vec![alarm("1", "HR very high")]);
        assert_eq!(changes, [alarm("1", "HR very high"), Alarm { active: false, ..alarm("2", "leads off") }]);
        assert_eq!(list.replace(Vec::new()), [Alarm { active: false, ..alarm("1", "HR very high") }]);
    }

    #[test]
    fn an_alarm_begins_once_and_ends_once() {
        let mut list = AlarmList::default();
        assert!(list.begin(&alarm("1", "low")));
        assert!(!list.begin(&alarm("1", "low")));
        assert!(list.end("1").is_some_and(|alarm| !alarm.active));
        assert_eq!(list.end("1"), None);
    }
}
